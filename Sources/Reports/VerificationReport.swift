import Emulator
import Foundation

/// What `verify` says of what it found.
public enum VerificationReport {
  /// One line where nothing differs; where something does, one that says it and then all that is known.
  public static func text(_ result: VerificationResult, guest: String, kinds: [String], _ style: TextStyle) -> String {
    switch result {
    case .same(let outcome, let instructions, let comparisons):
      return "penumbra: \(guest): no difference between \(list(kinds)) in \(NumberFormat.grouped(instructions)) "
        + "instructions by \(NumberFormat.grouped(comparisons)) comparison\(comparisons == 1 ? "" : "s"); "
        + "\(outcome.message)\n"
    case .interrupted(let instructions):
      return "penumbra: \(guest): interrupted after \(NumberFormat.grouped(instructions)) instructions without a "
        + "difference\n"
    case .violated(let paging, let outcome):
      return "penumbra: \(guest): \(paging): \(outcome.message)\n"
    case .different(let difference):
      return "penumbra: \(guest): \(difference.headline)\n" + style.faint(details(difference))
    }
  }

  /// The same for scripts.
  public static func json(_ result: VerificationResult, guest: String, kinds: [String]) throws -> String {
    var document = Document(guest: guest, kinds: kinds)
    switch result {
    case .same(let outcome, let instructions, let comparisons):
      (document.result, document.instructions, document.comparisons) = ("same", instructions, comparisons)
      document.outcome = outcome.message
    case .interrupted(let instructions):
      (document.result, document.instructions) = ("interrupted", instructions)
    case .violated(let paging, let outcome):
      (document.result, document.paging, document.outcome) = ("violated", paging, outcome.message)
    case .different(let difference):
      (document.result, document.instructions) = ("different", difference.instructions)
      document.difference = Document.Difference(difference)
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
  }

  /// `penumbra.verify/1`. `instructions` is how many all processors had executed without a difference.
  private struct Document: Encodable {
    var schema = "penumbra.verify/1"
    var guest: String
    var kinds: [String]
    var result = ""
    var instructions: UInt64?
    var comparisons: UInt64?
    var paging: String?
    var outcome: String?
    var difference: Difference?

    struct Difference: Encodable {
      struct Field: Encodable {
        var name: String
        var values: [String]
      }
      struct Side: Encodable {
        var paging: String
        var instruction: String
        var walk: [String]
      }

      var processor: Int
      var address: UInt64?
      var fields: [Field]
      var sides: [Side]
      var staleness: [String]

      init(_ difference: Emulator.Difference) {
        processor = difference.processor
        address = difference.address?.rawValue
        fields = difference.fields.map { Field(name: $0.name, values: [$0.first, $0.second]) }
        sides = [difference.first, difference.second].map {
          Side(paging: $0.paging, instruction: $0.instruction, walk: $0.walk)
        }
        staleness = difference.staleness
      }
    }

    init(guest: String, kinds: [String]) { (self.guest, self.kinds) = (guest, kinds) }
  }

  private static func list(_ names: [String]) -> String {
    guard let last = names.last, names.count > 1 else { return names.joined() }
    return names.dropLast().joined(separator: ", ") + " and " + last
  }

  private static func details(_ difference: Difference) -> String {
    var lines: [String] = []
    let (first, second) = (difference.first, difference.second)
    if first.instruction == second.instruction {
      lines.append("  processor \(difference.processor) executes \(first.instruction)")
    } else {
      for side in [first, second] { lines.append("  under \(side.paging) it executes \(side.instruction)") }
    }
    let width = difference.fields.map(\.name.count).max() ?? 0
    for field in difference.fields {
      let name = field.name + String(repeating: " ", count: width - field.name.count)
      lines.append("  \(name)  \(first.paging) \(field.first), \(second.paging) \(field.second)")
    }
    for side in [first, second] where !side.walk.isEmpty {
      lines.append("  under \(side.paging):")
      lines += side.walk.map { "    " + $0 }
    }
    lines += difference.staleness.map { "  stale: " + $0 }
    return lines.joined(separator: "\n") + "\n"
  }
}
