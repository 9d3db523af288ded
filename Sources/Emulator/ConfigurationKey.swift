import Machine

/// One key of the configuration. `ConfigurationKey.all` is the one table from which `--set`, `--config`, the effective
/// configuration in results and the documentation come.
public struct ConfigurationKey: Sendable {
  /// The name in `--set NAME=VALUE` and in a configuration file; options have the same name.
  public let name: String
  /// What a value looks like: `SIZE`, `N`, `off|l2l3|full`.
  public let form: String
  /// One line for people.
  public let help: String
  private let read: @Sendable (Configuration) -> ConfigurationValue
  private let assign: @Sendable (inout Configuration, String) throws -> Void

  init(
    _ name: String, _ form: String, _ help: String, get: @escaping @Sendable (Configuration) -> ConfigurationValue,
    set: @escaping @Sendable (inout Configuration, String) throws -> Void
  ) {
    self.name = name
    self.form = form
    self.help = help
    read = get
    assign = set
  }

  /// The value in effect.
  public func value(in configuration: Configuration) -> ConfigurationValue { read(configuration) }

  /// Sets the key from a text.
  /// - Throws: `SetupError`, `usage` for a value that cannot be and `input` for a file that cannot be used.
  public func set(_ value: String, in configuration: inout Configuration) throws(SetupError) {
    do {
      try assign(&configuration, value)
    } catch let error as SetupError {
      throw error
    } catch {
      throw SetupError(.defect, "\(name): \(error)")
    }
  }

  /// The key of a name.
  /// - Throws: `SetupError` of kind `usage` for a name that no key has.
  public static func named(_ name: String) throws(SetupError) -> ConfigurationKey {
    guard let key = all.first(where: { $0.name == name }) else {
      throw .usage("\(printable(name)): no such key\(suggestion(name, all.map(\.name)))")
    }
    return key
  }

  /// Reads `KEY=VALUE` and sets it.
  /// - Throws: `SetupError`, of kind `usage` also for a text without `=`.
  public static func apply(_ assignment: String, to configuration: inout Configuration) throws(SetupError) {
    guard let equals = assignment.firstIndex(of: "=") else {
      throw .usage("set: \(printable(assignment)) is not of the form KEY=VALUE")
    }
    let value = assignment[assignment.index(after: equals)...]
    try named(String(assignment[..<equals])).set(String(value), in: &configuration)
  }

  /// Every key with its value in effect, and what the profile says beside its figures.
  public static func effective(_ configuration: Configuration) -> [String: ConfigurationValue] {
    // The profile in effect is made once, not once a figure.
    let profile = configuration.profile
    var values: [String: ConfigurationValue] = [:]
    for key in options { values[key.name] = key.value(in: configuration) }
    for key in CostKey.allCases { values[figurePrefix + key.rawValue] = .number(profile[key]) }
    values[figurePrefix + "vendor"] = .text(profile.vendor.rawValue)
    values[figurePrefix + "features"] = .text(configuration.features.joined(separator: " "))
    return values
  }

  /// The keys but those of figures, as a Markdown table.
  public static var documentation: String {
    var text = "| key | value | meaning |\n|---|---|---|\n"
    for key in options {
      let form = key.form.split(separator: "|").joined(separator: "\\|")
      text += "| `\(key.name)` | `\(form)` | \(key.help) |\n"
    }
    return text + "| `\(figurePrefix)FIGURE` | `N` | a figure of the profile, for example `profile.tlb.l2.hit` |\n"
  }

  /// What the names of figures begin with.
  static let figurePrefix = "profile."

  /// Every key: the options first, then the profile's figures.
  public static let all: [ConfigurationKey] = options + CostKey.allCases.map(figure)

  private static func figure(_ key: CostKey) -> ConfigurationKey {
    let name = figurePrefix + key.rawValue
    return ConfigurationKey(name, "N", "a figure of the profile") {
      .number($0.profile[key])
    } set: {
      switch CostKey.number($1) {
      case .success(let value): $0.profileChanges[key] = value
      case .failure(let problem): throw SetupError.usage("\(name): \(problem.why)")
      }
    }
  }
}
