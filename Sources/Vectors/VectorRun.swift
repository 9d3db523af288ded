import Emulator
import Machine

/// Files of vectors, executed one after the other, and what came of them.
public final class VectorRun {
  /// A vector that failed.
  public struct Failure: Sendable {
    public let file: String
    /// Counted from 1.
    public let number: Int
    public let name: String
    public let bytes: [UInt8]
    public let differences: [VectorDifference]
  }

  public private(set) var passed = 0
  public private(set) var failed = 0
  /// Vectors that name no vendor and passed on the other one's processor alone.
  public private(set) var passedElsewhere = 0
  private var failures: [String: Int] = [:]
  private let profile: CostProfile?
  /// By the vendor that a vector names.
  private var machines: [Vendor?: VectorMachine] = [:]

  /// - Parameter profile: whose processor executes the vectors; nil for one of the vendor that a vector names. One that
  ///   names none passes if it does on the default profile's processor or on one of the other vendor.
  public init(profile: CostProfile?) { self.profile = profile }

  /// The profile that stands for a vendor where none is chosen.
  private static func profileName(_ vendor: Vendor) -> String {
    switch vendor {
    case .intel: "skylake"
    case .amd: "zen4"
    }
  }

  /// The machine for a vector that names this vendor, or none.
  private func machine(for vendor: Vendor?) throws(SetupError) -> VectorMachine {
    let key = profile != nil ? nil : vendor
    if let known = machines[key] { return known }
    let chosen: CostProfile
    if let profile {
      chosen = profile
    } else {
      chosen = try ProfileLibrary.profile(vendor.map(VectorRun.profileName) ?? ProfileLibrary.defaultName)
    }
    let machine = try VectorMachine(chosen)
    machines[key] = machine
    return machine
  }

  /// Executes the vectors of a file; `failed` is told of each that fails.
  /// - Throws: `SetupError` of kind `input` for a file that cannot be read or is malformed.
  public func run(_ path: String, failed report: (Failure) -> Void) throws(SetupError) {
    let reader = try VectorReader(path)
    var number = 0
    try reader.each { (vector: borrowing InstructionVector) throws(SetupError) in
      number += 1
      let machine = try machine(for: vector.vendor)
      let differences = machine.run(vector)
      guard !differences.isEmpty else {
        passed += 1
        return
      }
      if profile == nil, vector.vendor == nil {
        let other: Vendor = machine.vendor == .intel ? .amd : .intel
        if try self.machine(for: other).run(vector).isEmpty {
          passed += 1
          passedElsewhere += 1
          return
        }
      }
      failed += 1
      failures[machine.mnemonic(of: vector), default: 0] += 1
      report(
        Failure(
          file: path, number: number, name: vector.name, bytes: vector.bytes, differences: differences))
    }
  }

  /// Failures by mnemonic, the most first.
  public var failuresByMnemonic: [(mnemonic: String, count: Int)] {
    failures.map { (mnemonic: $0.key, count: $0.value) }.sorted { ($1.count, $0.mnemonic) < ($0.count, $1.mnemonic) }
  }
}
