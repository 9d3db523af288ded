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

  /// Whether one of the rivals is as good as the cheapest: the model's constants are not known to one per cent.
  private static func isAlike(_ total: UInt64, _ least: UInt64) -> Bool { UInt128(total - least) * 100 < least }

  /// One sentence: which kind is the cheapest for this guest, and what the next one that is dearer by one per cent or more
  /// spends more; empty for one kind alone.
  public var conclusion: String {
    let rivals = rivals
    guard rivals.count > 1 else { return "" }
    let cheapest = rivals[0]
    let least = cheapest.ledger.total
    var text = "\(cheapest.name) is the cheapest"
    let native = columns.first { $0.name == PagingKind.native.name }
    let isMeasured = rivals.count < columns.count
    if isMeasured { text += " under a hypervisor" }
    text += " with \(NumberFormat.grouped(least)) cycles"
    if isMeasured, let native { text += ", \(NumberFormat.ratio(least, to: native.ledger.total)) times native's" }
    let alike = rivals.dropFirst().prefix { Comparison.isAlike($0.ledger.total, least) }
    for rival in alike {
      let more = rival.ledger.total - least
      text +=
        more == 0 ? ", as many as \(rival.name)" : ", about as many as \(rival.name) (+\(NumberFormat.grouped(more)))"
    }
    guard let next = rivals.dropFirst(alike.count + 1).first else { return text + "." }
    let ratio = NumberFormat.ratio(next.ledger.total, to: least)
    return text + ", because \(next.name), \(alike.isEmpty ? "the next " : "")with \(ratio) times as many, "
      + Comparison.reason(next.ledger, than: cheapest.ledger) + "."
  }

  /// What the others take beside the cheapest, a sentence each.
  var others: [String] {
    let rivals = rivals
    let base = rivals[0].ledger
    return rivals.dropFirst().filter { !Comparison.isAlike($0.ledger.total, base.total) }.dropFirst().map { column in
      let total = column.ledger.total
      var text = "\(column.name) takes \(NumberFormat.ratio(total, to: base.total)) times as many as \(rivals[0].name)"
      text += " (+\(NumberFormat.grouped(total - base.total)))"
      if let most = Comparison.changes(from: base, to: column.ledger).first(where: { $0.cycles > 0 }) {
        text += ", above all in \(most.name) (+\(NumberFormat.grouped(UInt128(most.cycles))))"
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

  /// Causes that count as one where kinds are compared: an exit's hardware and its handler; and walks of the guest's tables
  /// and of shadow tables, for what one kind walks in the one another walks in the other.
  private static let units: [(name: String, causes: [Cause])] = {
    var units: [(name: String, causes: [Cause])] = []
    for cause in Cause.all {
      let parts = cause.name.split(separator: ".")
      var name = parts.count == 3 && parts[0] == "exit" ? parts.dropLast().joined(separator: ".") : cause.name
      if cause == .walkGuest || cause == .walkShadow { name = "walk" }
      if let index = units.firstIndex(where: { $0.name == name }) {
        units[index].causes.append(cause)
      } else {
        units.append((name, [cause]))
      }
    }
    return units
  }()

  /// Where processors wait for each other, or spin: what one of them does shows there on the others.
  private static let symptoms: Set<String> = [Cause.execute.name, Cause.idle.name]

  private struct Change {
    var name: String
    var cycles: Int128
  }

  /// What a ledger spends more than another, and less: the most first, and symptoms behind all reasons.
  private static func changes(from base: CycleLedger, to ledger: CycleLedger) -> [Change] {
    let changes = units.enumerated().map { index, unit in
      (index, Change(name: unit.name, cycles: unit.causes.reduce(0) { $0 + Int128(ledger[$1]) - Int128(base[$1]) }))
    }
    func rank(_ change: Change) -> (Int, Int128) { (symptoms.contains(change.name) ? 1 : 0, -change.cycles) }
    return changes.filter { $0.1.cycles != 0 }
      .sorted { (rank($0.1).0, rank($0.1).1, $0.0) < (rank($1.1).0, rank($1.1).1, $1.0) }
      .map(\.1)
  }

  /// Why a ledger is dearer than another: the greatest causes, three at most, until half of the difference is accounted for, and
  /// what is saved in return where that is a tenth of the difference.
  private static func reason(_ ledger: CycleLedger, than base: CycleLedger) -> String {
    let changes = changes(from: base, to: ledger)
    let difference = Int128(ledger.total) - Int128(base.total)
    let saved = changes.filter { $0.cycles < 0 && !symptoms.contains($0.name) }.min { $0.cycles < $1.cycles }
      .flatMap { -$0.cycles * 10 >= difference ? $0 : nil }
    var covered = saved?.cycles ?? 0
    var parts: [String] = []
    for change in changes where change.cycles > 0 && covered * 2 < difference && parts.count < 3 {
      parts.append("\(NumberFormat.grouped(UInt128(change.cycles)))\(parts.isEmpty ? " more" : "") in \(change.name)")
      covered += change.cycles
    }
    var text =
      "spends " + (parts.count > 1 ? parts.dropLast().joined(separator: ", ") + " and " : "") + (parts.last ?? "")
    if let saved { text += " and saves \(NumberFormat.grouped(UInt128(-saved.cycles))) in \(saved.name)" }
    return text
  }
}
