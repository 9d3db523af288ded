import Machine

/// The first instruction after which a guest is not the same under two kinds of virtualisation, with what came before it
/// at the same count of instructions: the delivery of events, a start that led nowhere.
struct FirstDifference {
  private let guest: RandomGuest
  private let start: Int
  private let instructions: UInt64

  /// - Parameter limit: the instructions after which something differs.
  init(_ guest: RandomGuest, under kind: RandomGuest.Kind, within limit: UInt64) throws {
    func differ(_ instructions: UInt64, _ starts: Int) throws -> Bool {
      let native = try guest.run(instructions: instructions, comparable: true, starts: starts)
      let other = try guest.run(instructions: instructions, kind: kind, comparable: true, starts: starts)
      return RandomGuest.difference(native, other) != nil
    }
    var (few, starts) = (0, 100)
    while starts - few > 1 {
      let middle = (few + starts) / 2
      if try differ(limit, middle) { starts = middle } else { few = middle }
    }
    var (low, high) = (try guest.run(instructions: limit, comparable: true, starts: few).retired, limit)
    while high - low > 1 {
      let middle = low + (high - low) / 2
      if try differ(middle, starts) { high = middle } else { low = middle }
    }
    self.guest = guest
    start = few
    instructions = low
  }

  /// Whether what differs overwrites what it needs itself: the tables that say where its accesses go, or the descriptors of
  /// the handler whose frame it pushes.
  ///
  /// Which translation each of its accesses uses is then the processor's choice (SDM vol. 3, 4.10.2.3 and 4.10.4.3).
  /// Natively they are those that the accesses before have written. A hypervisor's shadow follows when the instruction is
  /// done; and after a hidden fault half-way the instruction begins again, with what is in memory by then.
  func overwritesWhatItNeeds() throws -> Bool {
    let walks = Walks()
    _ = try run { processor in
      processor.flushAll()
      processor.observer = walks
    }
    func look(_ processor: Processor) -> [WalkResult] { walks.all.map { processor.peek($0.address, $0.access).result } }
    var (before, after): ([WalkResult], [WalkResult]) = ([], [])
    let outcome = try run({ before = look($0) }, end: { after = look($0) })
    let memory = try guest.run(instructions: instructions, comparable: true, starts: start + 1).memory
    return zip(before, after).contains { Self.differ($0, $1) }
      || zip(walks.all, before).contains { walk, result in
        walk.access.privilege == .implicitSupervisor && Self.changed(result, memory, outcome.memory)
      }
  }

  private func run(
    _ begin: @escaping (Processor) -> Void, end: @escaping (Processor) -> Void = { _ in }
  ) throws -> RandomGuest.Outcome {
    try guest.run(
      instructions: instructions + 1, comparable: true, starts: start + 1,
      witness: .init(start: start, instructions: instructions, begin: begin, end: end))
  }

  /// Whether two walks lead elsewhere or permit something else, or only one of them leads anywhere.
  private static func differ(_ one: WalkResult, _ other: WalkResult) -> Bool {
    guard case .mapped(let first) = one, case .mapped(let second) = other else { return one != other }
    return first.host.address != second.host.address || first.permissions != second.permissions
  }

  /// Whether a page of descriptors was written, other than by the marks that the processor makes in them: that a segment
  /// has been used, that a task is busy.
  private static func changed(_ result: WalkResult, _ before: [UInt64], _ after: [UInt64]) -> Bool {
    guard case .mapped(let mapping) = result else { return false }
    let first = Int(mapping.host.address.frame) * 512
    guard before.indices.contains(first) else { return false }
    return (first..<first + 512).contains { (before[$0] ^ after[$0]) & ~(3 << 40) != 0 }
  }

  /// The addresses that the hardware walks for.
  private final class Walks: MachineObserver {
    private(set) var all: [(address: GuestVirtual, access: Access)] = []

    func walked(_ address: GuestVirtual, access: Access, result: WalkResult) { all.append((address, access)) }
  }
}
