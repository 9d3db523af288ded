import Emulator
import Machine

/// What a comparison comes to.
extension Comparison {
  /// The kinds that compete, the cheapest first. Nothing is cheaper than no hypervisor: where there are several kinds under
  /// one, a bare machine is only what they are measured by.
  private var rivals: [Column] {
    let virtual = columns.filter { $0.name != PagingKind.native.name }
    return (virtual.count > 1 ? virtual : columns).enumerated()
      .sorted { ($0.element.ledger.total, $0.offset) < ($1.element.ledger.total, $1.offset) }
      .map(\.element)
  }

  /// One sentence: which kind is the cheapest for this guest, and what the next one spends more; empty for one kind alone.
  public var conclusion: String {
    let rivals = rivals
    guard rivals.count > 1 else { return "" }
    let (cheapest, next) = (rivals[0], rivals[1])
    var text = "\(cheapest.name) is the cheapest"
    let native = columns.first { $0.name == PagingKind.native.name }
    let isMeasured = rivals.count < columns.count
    if isMeasured { text += " under a hypervisor" }
    text += " with \(NumberFormat.grouped(cheapest.ledger.total)) cycles"
    if isMeasured, let native {
      text += ", \(NumberFormat.ratio(cheapest.ledger.total, to: native.ledger.total)) times native's"
    }
    guard let more = Comparison.dearest(next.ledger, than: cheapest.ledger),
      next.ledger.total > cheapest.ledger.total
    else { return text + "; \(next.name) takes as many." }
    let ratio = NumberFormat.ratio(next.ledger.total, to: cheapest.ledger.total)
    text += ", because \(next.name), the next with \(ratio) times as many, spends "
    text += "\(NumberFormat.grouped(more.cycles)) more in \(more.name)"
    if let less = Comparison.dearest(cheapest.ledger, than: next.ledger) {
      text += " and saves \(NumberFormat.grouped(less.cycles)) in \(less.name)"
    }
    return text + "."
  }

  /// What the others take beside the cheapest, a sentence each.
  var others: [String] {
    let rivals = rivals
    return rivals.dropFirst(2).map { column in
      let (total, base) = (column.ledger.total, rivals[0].ledger.total)
      guard total > base else { return "\(column.name) takes as many as \(rivals[0].name)." }
      var text = "\(column.name) takes \(NumberFormat.ratio(total, to: base)) times as many as \(rivals[0].name)"
      text += " (+\(NumberFormat.grouped(total - base)))"
      if let most = Comparison.dearest(column.ledger, than: rivals[0].ledger) {
        text += ", above all in \(most.name) (+\(NumberFormat.grouped(most.cycles)))"
      }
      return text + "."
    }
  }

  /// What stands below the table, in lines of at most 100 columns.
  var remarks: String {
    ([conclusion] + others).filter { !$0.isEmpty }.map { sentence in
      let words = sentence.split(separator: " ").map(String.init)
      return Listings.wrapped(words[0], Array(words.dropFirst()))
    }
    .joined()
  }

  /// Causes that count as one where kinds are compared: an exit's hardware and its handler.
  private static let units: [(name: String, causes: [Cause])] = {
    var units: [(name: String, causes: [Cause])] = []
    for cause in Cause.all where !walks.contains(cause) {
      let parts = cause.name.split(separator: ".")
      let name = parts.count == 3 && parts[0] == "exit" ? parts.dropLast().joined(separator: ".") : cause.name
      if let index = units.firstIndex(where: { $0.name == name }) {
        units[index].causes.append(cause)
      } else {
        units.append((name, [cause]))
      }
    }
    return units
  }()

  private static let walks: [Cause] = [.walkGuest, .walkHost, .walkShadow]

  /// Where a ledger exceeds another most. Walks count together, for what one kind of paging walks in one dimension another
  /// walks in the other; they are told apart where one dimension alone is no more than all.
  private static func dearest(_ ledger: CycleLedger, than base: CycleLedger) -> (name: String, cycles: UInt64)? {
    func most(_ units: [(name: String, causes: [Cause])]) -> (name: String, cycles: UInt64)? {
      units.compactMap { unit -> (name: String, cycles: UInt64)? in
        let (now, before) = unit.causes.reduce((0, 0)) { ($0.0 + ledger[$1], $0.1 + base[$1]) }
        return now > before ? (unit.name, now - before) : nil
      }
      .max { $0.cycles < $1.cycles }
    }
    let other = most(units)
    guard let all = most([("walk", walks)]), all.cycles > other?.cycles ?? 0 else { return other }
    let one = most(walks.map { ($0.name, [$0]) })
    return one.map { $0.cycles <= all.cycles } ?? false ? one : all
  }
}
