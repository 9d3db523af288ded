#if os(Linux) && arch(x86_64)
  import Foundation
  import Machine

  /// Who made the processor that this process runs on.
  enum HostVendor {
    /// Nil for one that is neither Intel's nor AMD's.
    static let current: Vendor? = {
      let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      return info.contains("AuthenticAMD") ? .amd : info.contains("GenuineIntel") ? .intel : nil
    }()

    static let isAMD = current == .amd
  }
#endif
