/// What is kept of a random guest's run, and compared.
extension RandomGuest {
  /// How a run ended, and everything that it may not depend on how the code was cut.
  struct Outcome: Equatable {
    var ends: [String] = []
    var registers: [UInt64] = []
    var retired: UInt64 = 0
    var ledger: [UInt64] = []
    /// The guest's, in words.
    var memory: [UInt64] = []
    /// Whether a run was ended while the hypervisor still had something to do for the guest, which nobody does any more.
    var isCut = false
    /// What the hypervisor found wrong with its own tables.
    var violations: [String] = []

    /// What a guest can see of itself, however its memory is virtualised. Nothing can be said of one that did what
    /// Penumbra refuses, or of which an event was half delivered.
    var architecture: [String]? {
      guard !isCut, !ends.contains(where: { $0.hasPrefix("unsupported") }) else { return nil }
      return ends + registers.map { String($0, radix: 16) } + ["\(retired)"]
    }
  }

  /// What the outcomes in long blocks and in blocks of one instruction first differ in.
  static func difference(_ whole: Outcome, _ single: Outcome) -> String {
    for (index, pair) in zip(whole.ends, single.ends).enumerated() where pair.0 != pair.1 {
      return "start \(index) ends with \(pair.0) in long blocks, \(pair.1) in short ones"
    }
    if whole.retired != single.retired { return "\(whole.retired) and \(single.retired) instructions" }
    if whole.registers != single.registers { return "registers \(whole.registers) and \(single.registers)" }
    if whole.ledger != single.ledger { return "ledgers \(whole.ledger) and \(single.ledger)" }
    return memoryDifference(whole, single) ?? "nothing"
  }

  private static func memoryDifference(_ one: Outcome, _ other: Outcome) -> String? {
    guard let index = one.memory.indices.first(where: { one.memory[$0] != other.memory[$0] }) else { return nil }
    let values = [one.memory[index], other.memory[index]].map { String($0, radix: 16) }
    return "the word at \(String(8 * index, radix: 16)): \(values[0]), \(values[1])"
  }

  /// What the outcomes under two kinds of virtualisation first differ in; nil where nothing does, or nothing can be
  /// said.
  static func difference(_ one: Outcome, _ other: Outcome) -> String? {
    guard let first = one.architecture, let second = other.architecture else { return nil }
    if first == second { return memoryDifference(one, other) }
    for (index, pair) in zip(first, second).enumerated() where pair.0 != pair.1 {
      return index < one.ends.count
        ? "start \(index) ends with \(pair.0), \(pair.1)" : "register \(index - one.ends.count): \(pair.0), \(pair.1)"
    }
    return "\(one.ends.count) and \(other.ends.count) starts"
  }
}
