/// Accesses to model-specific registers that do not exist here, by number: they raise #GP(0), and are listed so that
/// nothing is ignored in silence.
public struct UnknownRegisters: Sendable {
  /// In order of first use; at most `capacity` different ones.
  public private(set) var accesses: [(number: UInt32, reads: UInt64, writes: UInt64)] = []
  private static let capacity = 256

  mutating func note(_ number: UInt32, isWrite: Bool) { add(number, reads: isWrite ? 0 : 1, writes: isWrite ? 1 : 0) }

  /// Adds another processor's accesses.
  mutating func add(_ other: UnknownRegisters) {
    for each in other.accesses { add(each.number, reads: each.reads, writes: each.writes) }
  }

  private mutating func add(_ number: UInt32, reads: UInt64, writes: UInt64) {
    if let index = accesses.firstIndex(where: { $0.number == number }) {
      accesses[index].reads += reads
      accesses[index].writes += writes
    } else if accesses.count < UnknownRegisters.capacity {
      accesses.append((number, reads, writes))
    }
  }
}
