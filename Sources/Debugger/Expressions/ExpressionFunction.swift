import Emulator
import Machine

/// A function of expressions: what a script asks of the model.
public struct ExpressionFunction: Sendable {
  public let name: String
  public let parameters: String
  public let summary: String
  let value: @Sendable (Session, [Expression.Argument]) throws(Expression.Failure) -> UInt64

  /// All, for help and documents.
  public static let all: [ExpressionFunction] = [
    .init("gpa", "ADDRESS", "the guest-physical address of a linear one") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      guard let physical = session.translate(address) else { throw unmapped(address) }
      return physical.rawValue
    },
    .init("hpa", "ADDRESS", "the host-physical address of a linear one") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      guard let physical = session.translate(address), let host = session.hostAddress(of: physical) else {
        throw unmapped(address)
      }
      return host.rawValue
    },
    .init("mapped", "ADDRESS", "1 if the guest's tables map a linear address, else 0") {
      session, arguments throws(Expression.Failure) in
      session.translate(try number(session, arguments)) == nil ? 0 : 1
    },
    .init("entry", "ADDRESS", "the entry of the guest's tables that maps a linear address, or that ends the walk") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      guard let entry = session.guestWalk(address).references.last(where: { $0.dimension == .first }) else {
        throw unmapped(address)
      }
      return entry.entry
    },
    .init("level", "ADDRESS", "the level of that entry: 1 for a PTE, 2 for a PDE, ...") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      guard let entry = session.guestWalk(address).references.last(where: { $0.dimension == .first }) else {
        throw unmapped(address)
      }
      return UInt64(entry.level)
    },
    .init("tlb", "ADDRESS", "how many TLB entries of the running context translate a linear address") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      return UInt64(session.cached(address).filter { $0.entry.holder.holdsPages }.count)
    },
    .init("stale", "ADDRESS", "how many of them, and of its paging-structure entries, the tables no longer say") {
      session, arguments throws(Expression.Failure) in
      let address = try number(session, arguments)
      return UInt64(session.cached(address).filter { $0.isCurrent == false }.count)
    },
    .init("cost", "\"CAUSE\"", "cycles charged to a cause, or to all below a name such as \"walk\"; without one all") {
      session, arguments throws(Expression.Failure) in
      let ledger = session.machine.statistics.causes.ledger
      guard let first = arguments.first else { return ledger.total }
      guard case .word(let name) = first else { throw Expression.Failure(description: "cost wants a name in quotes") }
      let causes = Cause.all.filter { $0.name == name || $0.name.hasPrefix(name + ".") }
      guard !causes.isEmpty else { throw Expression.Failure(description: "no cause \(name); see info cost") }
      return causes.reduce(0) { $0 &+ ledger[$1] }
    },
    .init("exits", "\"REASON\"", "exits to the hypervisor of a reason; without one all") {
      session, arguments throws(Expression.Failure) in
      let exits = session.machine.statistics.exits
      guard let first = arguments.first else { return exits.values.reduce(0) { $0 &+ $1.count } }
      guard case .word(let name) = first else { throw Expression.Failure(description: "exits wants a name in quotes") }
      guard ExitReason.allCases.contains(where: { $0.name == name }) else {
        throw Expression.Failure(description: "no exit reason \(name); see info exits")
      }
      return exits[name]?.count ?? 0
    },
  ]

  init(
    _ name: String, _ parameters: String, _ summary: String,
    value: @escaping @Sendable (Session, [Expression.Argument]) throws(Expression.Failure) -> UInt64
  ) {
    (self.name, self.parameters, self.summary, self.value) = (name, parameters, summary, value)
  }

  private static func number(
    _ session: Session, _ arguments: [Expression.Argument]
  ) throws(Expression.Failure) -> UInt64 {
    guard arguments.count == 1, case .value(let expression) = arguments[0] else {
      throw Expression.Failure(description: "one address is wanted")
    }
    return try expression.value(in: session)
  }

  private static func unmapped(_ address: UInt64) -> Expression.Failure {
    Expression.Failure(description: "nothing mapped at 0x\(String(address, radix: 16))")
  }
}
