import Machine

/// What a run counted: the JSON document of schema `penumbra.stats/1`. Every count is an integer, and the causes add up
/// to the cycles exactly.
public struct Statistics: Codable, Equatable, Sendable {
  public static let schema = "penumbra.stats/1"

  /// Which guest it was.
  public var guest = Guest()
  /// The effective configuration, whole.
  public var config: [String: ConfigurationValue] = [:]
  /// How the run ended; nil while it goes on.
  public var outcome: Outcome?
  /// Instructions retired, on all processors.
  public var instructions: UInt64 = 0
  /// Cycles by cause. Their sum is the clock.
  public var causes = CauseCounts()
  /// Exits by reason (`ExitReason.name`).
  public var exits: [String: Exit] = [:]
  /// TLBs by level: `data` and `code` (the first), `l2`, `nested`.
  public var tlb: [String: TLB] = [:]
  public var walks = Walks()
  public var shadow = Shadow()
  /// Under agile paging only.
  public var agile: Agile?
  /// With `host.churn` only.
  public var churn: Churn?
  public var memory = Memory()
  /// Regions by mark ID in decimal; `start` is what came before the first mark.
  public var regions: [String: Region] = [:]
  public var cpus: [CPU] = []
  /// Accesses that nothing claimed, by `port 0x...`, `address 0x...` or `MSR 0x...`.
  public var unclaimed: [String: UInt64] = [:]
  /// The profile's figures whose source is unverified, in the profile's order.
  public var unverified: [String] = []

  public init() {}

  /// The clock: the sum of the causes.
  public var cycles: UInt64 { causes.total }

  /// The name of a region in `regions`.
  /// - Parameter mark: the mark's ID, 0 to 255; anything less is the time before the first mark.
  public static func regionName(_ mark: Int) -> String { mark < 0 ? "start" : "\(mark)" }

  public struct Guest: Codable, Equatable, Sendable {
    public var name = ""
    /// SHA-256 of its image.
    public var sha256 = ""
    /// SHA-256 of the initial RAM disk, if there is one.
    public var initrdSHA256: String?

    public init(name: String = "", sha256: String = "", initrdSHA256: String? = nil) {
      (self.name, self.sha256, self.initrdSHA256) = (name, sha256, initrdSHA256)
    }
  }

  public struct Outcome: Codable, Equatable, Sendable {
    /// `RunOutcome.name`.
    public var name: String
    public var message: String
    /// The process's exit status.
    public var status: Int32

    public init(_ outcome: RunOutcome) {
      (name, message, status) = (outcome.name, outcome.message, outcome.exitStatus)
    }
  }

  /// Exits of one reason; cycles are those of the hardware and the handler together.
  public struct Exit: Codable, Equatable, Sendable {
    public var count: UInt64 = 0
    public var cycles: UInt64 = 0
    /// The cheapest and the dearest single exit; 0 while there was none.
    public var min: UInt64 = 0
    public var max: UInt64 = 0

    public init(count: UInt64 = 0, cycles: UInt64 = 0, min: UInt64 = 0, max: UInt64 = 0) {
      (self.count, self.cycles, self.min, self.max) = (count, cycles, min, max)
    }

    /// Counts one exit.
    public mutating func add(cycles spent: UInt64) {
      min = count == 0 ? spent : Swift.min(min, spent)
      max = Swift.max(max, spent)
      count += 1
      cycles += spent
    }
  }

  public struct TLB: Codable, Equatable, Sendable {
    public var hits: UInt64 = 0
    public var misses: UInt64 = 0
    /// Invalidations of more than one page.
    public var flushes: UInt64 = 0

    public init(hits: UInt64 = 0, misses: UInt64 = 0, flushes: UInt64 = 0) {
      (self.hits, self.misses, self.flushes) = (hits, misses, flushes)
    }
  }

  /// The hardware's page walks.
  public struct Walks: Codable, Equatable, Sendable {
    public var count: UInt64 = 0
    /// References to tables of all kinds: guest, host and shadow.
    public var references: UInt64 = 0
    public var guestReferences: UInt64 = 0
    public var hostReferences: UInt64 = 0
    public var shadowReferences: UInt64 = 0
    /// Walks by the level of the table that they began with: `1`, `2` or `3` where a paging-structure cache led there,
    /// `root` where none did.
    public var byLevel: [String: UInt64] = [:]
    /// Walks by the number of references that they took, in decimal: `4`, `24`; `39` stands for more too.
    public var byReferences: [String: UInt64] = [:]
    public var pagingStructureCacheHits: UInt64 = 0
    public var nestedTLBHits: UInt64 = 0
    /// Walks of the second dimension: of what the nested TLB did not translate. By the level of the table that they began
    /// with, as `byLevel`.
    public var nestedByLevel: [String: UInt64]?
    /// Which cache served the references, for the tables that were walked: `guest`, `host`, `shadow`.
    public var served: [String: Served]?
    /// What the page-walk cache had, where there is one, by the place in the walk: `gL3` for the guest's entries of level 3,
    /// `gL3.nL2` for the nested ones of level 2 on the way to those, `gPA.nL2` on the way to the page, `sL3` for shadow tables.
    public var walkCache: [String: Asked]?

    public init() {}

    /// How often a cache had what it was asked for.
    public struct Asked: Codable, Equatable, Sendable {
      public var hits: UInt64
      public var misses: UInt64

      public init(hits: UInt64, misses: UInt64) { (self.hits, self.misses) = (hits, misses) }
    }

    /// References by what served them.
    public struct Served: Codable, Equatable, Sendable {
      public var l2: UInt64 = 0
      public var l3: UInt64 = 0
      public var memory: UInt64 = 0
      /// Where there is a page-walk cache.
      public var walkCache: UInt64?

      public init(l2: UInt64 = 0, l3: UInt64 = 0, memory: UInt64 = 0, walkCache: UInt64? = nil) {
        (self.l2, self.l3, self.memory, self.walkCache) = (l2, l3, memory, walkCache)
      }
    }
  }

  /// Tables that went from shadow to nested paging and back.
  public struct Agile: Codable, Equatable, Sendable {
    public var wentNested: UInt64 = 0
    public var cameBack: UInt64 = 0
    /// Entries made behind which walks go on in the guest's tables.
    public var switchingEntries: UInt64 = 0
    /// Looks at which nested tables the guest still writes.
    public var looks: UInt64 = 0
    /// Nested tables at the end, without those below them.
    public var nestedTables: UInt64 = 0
    /// Walks that came to a switching entry, or began behind one.
    public var crossings: UInt64 = 0
  }

  /// What the host did to the guest's frames by itself.
  public struct Churn: Codable, Equatable, Sendable {
    public var unmapped: UInt64 = 0
    public var moved: UInt64 = 0
    public var writeProtected: UInt64 = 0
  }

  /// What was spent while a mark was the last one executed.
  public struct Region: Codable, Equatable, Sendable {
    public var visits: UInt64 = 0
    public var instructions: UInt64 = 0
    public var causes = CauseCounts()

    public init(visits: UInt64 = 0, instructions: UInt64 = 0, causes: CauseCounts = CauseCounts()) {
      (self.visits, self.instructions, self.causes) = (visits, instructions, causes)
    }

    public var cycles: UInt64 { causes.total }

    /// Adds one processor's part.
    mutating func add(_ account: RegionAccounts.Account) {
      visits &+= account.visits
      instructions &+= account.instructions
      causes.ledger.add(account.ledger)
    }
  }

  public struct CPU: Codable, Equatable, Sendable {
    public var instructions: UInt64 = 0
    public var causes = CauseCounts()

    public init(instructions: UInt64 = 0, causes: CauseCounts = CauseCounts()) {
      (self.instructions, self.causes) = (instructions, causes)
    }

    public var cycles: UInt64 { causes.total }
  }
}
