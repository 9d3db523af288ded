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

    static let hasAVX = missing(["avx"]).isEmpty

    /// Whether the x87's pointers are saved and restored with no exception pending, too (APM vol. 2, 11.4.4).
    static let keepsPointers = !isAMD

    /// Which of some features the host does not have, by the names in /proc/cpuinfo.
    static func missing(_ needed: [String]) -> [String] { needed.filter { !present.contains($0) } }

    private static let present: Set<String> = {
      let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      let flags = info.split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
      return Set(flags.split(separator: " ").map(String.init))
    }()
  }
#endif
