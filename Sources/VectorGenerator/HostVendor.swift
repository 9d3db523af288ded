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

    /// What the instructions in question need and the host does not have, by the names in /proc/cpuinfo.
    static let missing: [String] = {
      let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      let flags = info.split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
      let present = Set(flags.split(separator: " ").map(String.init))
      let needed = ["sse4_2", "ssse3", "popcnt", "movbe", "abm", "bmi1", "bmi2", "adx", "cx16"]
      return needed.filter { !present.contains($0) }
    }()
  }
#endif
