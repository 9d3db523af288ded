import Machine

/// The guest's accesses to devices, one after the other, as a number: two machines whose numbers are the same have had the
/// same accesses with the same values.
public struct AccessLog: Equatable, Sendable {
  /// Where an access goes.
  public enum Place: UInt64, Sendable { case port, register, localRegister }

  /// One access.
  public struct Entry: Equatable, Sendable, CustomStringConvertible {
    public var place: Place
    public var address: UInt64
    public var width: Int
    public var value: UInt64
    public var isWrite: Bool

    public var description: String {
      let name =
        switch place {
        case .port: "port"
        case .register: "register"
        case .localRegister: "MSR"
        }
      let value = "0x" + String(value, radix: 16)
      let place = "\(name) 0x\(String(address, radix: 16)) (\(width) bytes)"
      return isWrite ? "\(value) written to \(place)" : "\(value) read from \(place)"
    }
  }

  public private(set) var count: UInt64 = 0
  public private(set) var digest: UInt64 = 0xcbf2_9ce4_8422_2325
  public private(set) var last: Entry?

  mutating func note(_ place: Place, _ address: UInt64, width: Int, _ value: UInt64, isWrite: Bool) {
    // Only its low bytes count.
    let value = width < 8 ? value & (1 << UInt64(8 * max(width, 1)) &- 1) : value
    count &+= 1
    for word in [place.rawValue << 1 | (isWrite ? 1 : 0), address, UInt64(truncatingIfNeeded: width), value] {
      digest = (digest ^ word) &* 0x9e37_79b9_7f4a_7c15
      digest ^= digest >> 29
    }
    last = Entry(place: place, address: address, width: width, value: value, isWrite: isWrite)
  }
}
