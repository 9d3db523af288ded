import Emulator

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
