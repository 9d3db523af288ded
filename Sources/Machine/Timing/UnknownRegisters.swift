/// Accesses to model-specific registers that do not exist here, by number: they raise #GP(0), and are listed so that
/// nothing is ignored in silence.
public struct UnknownRegisters: Sendable {
  /// In order of first use; at most `capacity` different ones.
  public private(set) var accesses: [(number: UInt32, reads: UInt64, writes: UInt64)] = []
  private static let capacity = 256

  mutating func note(_ number: UInt32, isWrite: Bool) {
    if let index = accesses.firstIndex(where: { $0.number == number }) {
      if isWrite { accesses[index].writes += 1 } else { accesses[index].reads += 1 }
    } else if accesses.count < UnknownRegisters.capacity {
      accesses.append((number, isWrite ? 0 : 1, isWrite ? 1 : 0))
    }
  }
}
