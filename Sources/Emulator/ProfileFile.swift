import Machine
import Yams

/// A profile's YAML file:
///
///     name: mine
///     base: skylake            # optional: figures not given here are those of a built-in profile
///     vendor: intel
///     summary: "what it models, in a line"
///     features: fpu tsc msr ... # or `all`: whatever Penumbra implements
///     figures:
///       tlb.l2.hit: {value: 9, flag: U, source: "where the figure comes from"}
///       switch.cr3: 186        # short for flag U and no source
struct ProfileFile {
  private let document: YAMLDocument

  /// - Parameter name: the file's name, for errors.
  init(_ bytes: [UInt8], name: String) throws(SetupError) {
    document = try YAMLDocument(bytes, what: "profile", name: name)
  }

  /// The profile that the file describes, checked.
  func profile() throws(SetupError) -> CostProfile {
    var name: String?
    var vendor: Vendor?
    var summary: String?
    var features: [String]?
    var given: [CostKey: Figure] = [:]
    var lines: [CostKey: Int] = [:]
    var base: CostProfile?

    for entry in try document.entries(of: document.top, in: "the file") {
      switch entry.key {
      case "name": name = try text(entry)
      case "vendor":
        let value = try text(entry)
        guard let known = Vendor(rawValue: value) else {
          throw document.error(entry.line, "vendor: \(printable(value)) is neither intel nor amd")
        }
        vendor = known
      case "summary": summary = try text(entry)
      case "features": features = try self.features(entry)
      case "base":
        let value = try text(entry)
        guard ProfileLibrary.names.contains(value) else {
          throw document.error(entry.line, "base: \(printable(value)) is not a built-in profile")
        }
        base = try ProfileLibrary.profile(value)
      case "figures":
        for figure in try document.entries(of: entry.value, in: "figures") {
          guard let key = CostKey(rawValue: figure.key) else {
            throw document.error(
              figure.line, "\(printable(figure.key)): no such figure\(suggestion(figure.key, CostKey.allNames))")
          }
          given[key] = try self.figure(figure)
          lines[key] = figure.line
        }
      default:
        throw document.error(entry.line, "\(printable(entry.key)): no such key")
      }
    }

    let profile: CostProfile
    do {
      profile = try CostProfile(
        name: try required(name ?? base?.name, "name"), vendor: try required(vendor ?? base?.vendor, "vendor"),
        summary: try required(summary ?? base?.summary, "summary"),
        features: try required(features ?? base?.features, "features"),
        figures: (base?.figures ?? [:]).merging(given) { $1 })
    } catch let error as CostProfile.MissingFigures {
      throw document.error(nil, missing(error.keys))
    } catch let error as SetupError {
      throw error
    } catch {
      throw document.error(nil, "\(error)")
    }
    if let problem = ProfileValidation.firstProblem(profile) {
      throw document.error(lines[problem.key], "\(problem.key.rawValue): \(problem.why)")
    }
    return profile
  }

  private func missing(_ keys: [CostKey]) -> String {
    let shown = keys.prefix(5).map(\.rawValue).joined(separator: ", ")
    let more = keys.count > 5 ? " and \(keys.count - 5) more" : ""
    return "missing figure\(keys.count == 1 ? "" : "s") \(shown)\(more)"
  }

  private func required<Value>(_ value: Value?, _ key: String) throws(SetupError) -> Value {
    guard let value else { throw document.error(nil, "missing key \(key)") }
    return value
  }

  private func text(_ entry: YAMLDocument.Entry) throws(SetupError) -> String {
    let text = try document.scalar(entry.value, key: entry.key)
    guard !text.isEmpty else { throw document.error(entry.line, "\(entry.key): it is empty") }
    guard !text.unicodeScalars.contains(where: isUnprintable) else {
      throw document.error(entry.line, "\(entry.key): it contains control characters")
    }
    return text
  }

  private func features(_ entry: YAMLDocument.Entry) throws(SetupError) -> [String] {
    var names: [String] = []
    if let list = entry.value.sequence {
      for node in list { names.append(try document.scalar(node, key: entry.key)) }
    } else {
      names = try document.scalar(entry.value, key: entry.key).split(whereSeparator: \.isWhitespace).map(String.init)
    }
    if names == [CPUFeatures.everything] { return FeatureSet.known.map(\.name) }
    var seen: Set<String> = []
    for name in names {
      guard CPUFeatures.isKnown(name) else {
        throw document.error(
          entry.line, "features: no such feature \(printable(name))\(suggestion(name, CPUFeatures.known))")
      }
      guard seen.insert(name).inserted else { throw document.error(entry.line, "features: \(name) is given twice") }
    }
    return names
  }

  private func figure(_ entry: YAMLDocument.Entry) throws(SetupError) -> Figure {
    guard entry.value.mapping != nil else {
      let value = try number(try document.scalar(entry.value, key: entry.key), entry)
      return Figure(value, source: "no source given", flag: .unverified)
    }
    var value: UInt64?
    var source: String?
    var flag: SourceFlag?
    for part in try document.entries(of: entry.value, in: entry.key) {
      let text = try document.scalar(part.value, key: "\(entry.key).\(part.key)")
      switch part.key {
      case "value": value = try number(text, entry)
      case "source": source = text
      case "flag":
        guard let known = SourceFlag(rawValue: text) else {
          throw document.error(part.line, "\(entry.key): flag \(printable(text)) is none of P, S, U, D")
        }
        flag = known
      default: throw document.error(part.line, "\(entry.key): no such key \(printable(part.key))")
      }
    }
    guard let value else { throw document.error(entry.line, "\(entry.key): missing value") }
    guard let flag else { throw document.error(entry.line, "\(entry.key): missing flag") }
    guard let source, !source.isEmpty else { throw document.error(entry.line, "\(entry.key): missing source") }
    return Figure(value, source: source, flag: flag)
  }

  private func number(_ text: String, _ entry: YAMLDocument.Entry) throws(SetupError) -> UInt64 {
    switch CostKey.number(text) {
    case .success(let value): return value
    case .failure(let problem): throw document.error(entry.line, "\(entry.key): \(problem.why)")
    }
  }
}

extension CostKey {
  /// The names of all figures, in the profile's order.
  static let allNames = allCases.map(\.rawValue)

  /// Why a text is not a figure.
  struct NotANumber: Error { var why: String }

  /// A figure's value as it may be written: `1536`, `3_000_000_000`, `32K`.
  static func number(_ text: String) -> Result<UInt64, NotANumber> {
    if let value = NumberParsing.bytes(text) { return .success(value) }
    if text.hasPrefix("-") && NumberParsing.bytes(text.dropFirst()) != nil {
      return .failure(NotANumber(why: "\(printable(text)) is negative"))
    }
    return .failure(NotANumber(why: "\(printable(text)) is not a whole number of up to 64 bits"))
  }
}
