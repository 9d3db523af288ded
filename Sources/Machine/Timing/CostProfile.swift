/// How far a figure of a cost profile can be trusted (the flags of Docs/CostModel.md).
public enum SourceFlag: String, Sendable, CaseIterable {
  /// Read in the primary source.
  case primary = "P"
  /// Read in an abstract or a secondary copy.
  case secondary = "S"
  /// Unverified.
  case unverified = "U"
  /// Derived from other figures, or chosen by the model.
  case derived = "D"
}

/// One figure of a profile with where it comes from.
public struct Figure: Equatable, Sendable {
  public var value: UInt64
  public var source: String
  public var flag: SourceFlag

  public init(_ value: UInt64, source: String, flag: SourceFlag) {
    self.value = value
    self.source = source
    self.flag = flag
  }
}

/// Who made the processor; decides between Intel's and AMD's rules.
public enum Vendor: String, Sendable, CaseIterable {
  case intel, amd
}

/// A processor and hypervisor to model, as data: geometries of TLBs and caches, and what everything costs in cycles.
public struct CostProfile: Equatable, Sendable {
  public var name: String
  public var vendor: Vendor
  /// What the profile models, in a line.
  public var summary: String
  /// CPU features shown to the guest, by the names that Linux gives them.
  public var features: [String]
  public private(set) var figures: [CostKey: Figure]

  /// A profile that lacks a figure.
  public struct MissingFigures: Error, CustomStringConvertible {
    public let profile: String
    public let keys: [CostKey]
    public var description: String {
      "profile \(profile): missing figure\(keys.count == 1 ? "" : "s") " + keys.map(\.rawValue).joined(separator: ", ")
    }
  }

  public init(
    name: String, vendor: Vendor, summary: String, features: [String], figures: [CostKey: Figure]
  ) throws(MissingFigures) {
    let missing = CostKey.allCases.filter { figures[$0] == nil }
    guard missing.isEmpty else { throw MissingFigures(profile: name, keys: missing) }
    self.name = name
    self.vendor = vendor
    self.summary = summary
    self.features = features
    self.figures = figures
  }

  /// The value of a figure.
  public subscript(_ key: CostKey) -> UInt64 {
    get { figures[key]?.value ?? 0 }
    set { figures[key] = Figure(newValue, source: "set by the user", flag: .derived) }
  }

  /// How many figures are flagged unverified.
  public var unverified: [CostKey] { CostKey.allCases.filter { figures[$0]?.flag == .unverified } }
}
