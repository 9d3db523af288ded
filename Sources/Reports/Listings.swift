import Emulator
import Guests
import Machine

/// The lists that `guests` and `profiles` print.
public enum Listings {
  /// The built-in guests, a line each.
  /// - Parameter parameters: whether to show what each takes by `--append` instead of what it does.
  public static func guests(parameters: Bool, _ style: TextStyle) -> String {
    var table = TextTable([("guest", .left), (parameters ? "parameters (--append)" : "what it does", .left)])
    for guest in BuiltInGuest.all { table.add([guest.name, parameters ? guest.parameters : guest.summary]) }
    return table.text(style)
  }

  /// The built-in profiles, a line each.
  public static func profiles(_ profiles: [CostProfile], _ style: TextStyle) -> String {
    var table = TextTable([("profile", .left), ("models", .left), ("unverified", .right)])
    for profile in profiles {
      table.add([profile.name, profile.summary, "\(profile.unverified.count) of \(CostKey.allCases.count)"])
    }
    return table.text(style)
  }

  /// One profile, figure by figure.
  public static func profile(_ profile: CostProfile, _ format: OutputFormat, _ style: TextStyle) throws(SetupError)
    -> String
  {
    let figures = CostKey.allCases.map { ($0.rawValue, profile.figures[$0]) }
    switch format {
    case .table:
      var table = TextTable([("figure", .left), ("value", .right), ("flag", .left), ("source", .left)])
      for (key, figure) in figures {
        guard let figure else { continue }
        table.add([key, NumberFormat.grouped(figure.value), figure.flag.rawValue, printable(figure.source, limit: nil)])
      }
      let features = FeatureSet.known.filter { profile.features.contains($0.name) }.map(\.name)
      return "\(profile.name) (\(profile.vendor.rawValue)): \(profile.summary)\n"
        + wrapped("features:", profile.features) + wrapped("of these shown to the guest:", features) + "\n"
        + table.text(style)
        + "\nflags: P primary source, S secondary source, U unverified, D derived or chosen by the model\n"
    case .csv:
      var csv = CommaSeparatedValues()
      csv.add(["figure", "value", "flag", "source"])
      for (key, figure) in figures {
        guard let figure else { continue }
        csv.add([key, "\(figure.value)", figure.flag.rawValue, figure.source])
      }
      return csv.text
    case .json:
      return try DeterministicJSON.encode(ProfileDocument(profile))
    }
  }

  /// Words after a heading, in lines of at most 100 columns.
  static func wrapped(_ heading: String, _ words: [String]) -> String {
    var lines = [heading]
    for word in words {
      if lines[lines.count - 1].count + 1 + word.count > 100 { lines.append(" ") }
      lines[lines.count - 1] += " " + word
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private struct ProfileDocument: Encodable {
    struct Entry: Encodable {
      var value: UInt64
      var flag: String
      var source: String
    }
    var name: String
    var vendor: String
    var summary: String
    var features: [String]
    var figures: [String: Entry]

    init(_ profile: CostProfile) {
      name = profile.name
      vendor = profile.vendor.rawValue
      summary = profile.summary
      features = profile.features
      figures = Dictionary(
        uniqueKeysWithValues: CostKey.allCases.compactMap { key in
          profile.figures[key].map {
            (key.rawValue, Entry(value: $0.value, flag: $0.flag.rawValue, source: $0.source))
          }
        })
    }
  }
}
