/// Counts of accesses that no device claims, by port or address.
public struct UnclaimedAccesses: Equatable, Sendable {
  /// How many distinct addresses are kept; a guest that strays over more adds to one common entry.
  public static let limit = 1024

  /// How often one port or address was accessed.
  public struct Counts: Equatable, Sendable {
    public var reads: UInt64 = 0
    public var writes: UInt64 = 0
  }

  private var ports: [UInt16: Counts] = [:]
  private var addresses: [UInt64: Counts] = [:]
  private var others = Counts()

  public init() {}

  /// Counts an access to a port.
  public mutating func count(port: UInt16, isWrite: Bool) {
    Self.add(isWrite, to: &ports[port, default: Counts()])
  }

  /// Counts an access to a guest-physical address.
  public mutating func count(address: UInt64, isWrite: Bool) {
    if addresses[address] == nil && addresses.count >= Self.limit {
      Self.add(isWrite, to: &others)
    } else {
      Self.add(isWrite, to: &addresses[address, default: Counts()])
    }
  }

  /// Every port, then every address, in ascending order.
  public var list: [(description: String, reads: UInt64, writes: UInt64)] {
    var list = Self.rows("port", ports.map { (UInt64($0.key), $0.value) })
    list += Self.rows("address", addresses.map { ($0.key, $0.value) })
    if others != Counts() { list.append(("other addresses", others.reads, others.writes)) }
    return list
  }

  private static func add(_ isWrite: Bool, to counts: inout Counts) {
    if isWrite { counts.writes &+= 1 } else { counts.reads &+= 1 }
  }

  private static func rows(
    _ kind: String, _ counts: [(UInt64, Counts)]
  ) -> [(description: String, reads: UInt64, writes: UInt64)] {
    counts.sorted { $0.0 < $1.0 }.map { ("\(kind) 0x" + String($0.0, radix: 16), $0.1.reads, $0.1.writes) }
  }
}
