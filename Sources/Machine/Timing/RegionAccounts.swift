/// A run split by marks: what was spent while each mark was the last one executed. Region -1 is before any.
public struct RegionAccounts: Sendable {
  public struct Account: Equatable, Sendable {
    public var visits: UInt64 = 0
    public var instructions: UInt64 = 0
    public var ledger = CycleLedger()
  }

  /// Accounts by mark ID, in the order of the IDs.
  public private(set) var accounts: [Int: Account] = [:]
  public private(set) var current = -1
  private var since = CycleLedger()
  private var sinceRetired: UInt64 = 0

  public init() {}

  /// Ends the running region and begins another.
  mutating func begin(_ id: Int, ledger: CycleLedger, retired: UInt64) {
    close(ledger: ledger, retired: retired)
    current = id
    accounts[id, default: Account()].visits += 1
  }

  /// Brings the running region's account up to date.
  package mutating func close(ledger: CycleLedger, retired: UInt64) {
    var account = accounts[current] ?? Account()
    account.ledger.add(ledger.since(since))
    account.instructions &+= retired &- sinceRetired
    accounts[current] = account
    since = ledger
    sinceRetired = retired
  }
}
