import Hypervisor

extension Statistics {
  public struct Memory: Codable, Equatable, Sendable {
    /// Memory that the guest was given.
    public var guestBytes: UInt64 = 0
    /// Host memory that backs it, and tables.
    public var hostBytes: UInt64 = 0
    /// Host memory beyond the guest's: shadow tables, nested tables.
    public var overheadBytes: UInt64 = 0
    /// The overhead by kind of table (`TableKind.name`), of kinds that there ever was a table of; nil without a hypervisor.
    public var tables: [String: Tables]?
    /// The overhead in the course of time; nil without a hypervisor.
    public var timeline: Timeline?

    /// The kinds of table in the order in which tables show them.
    public static let kinds = TableKind.allCases.map(\.name)

    public init(guestBytes: UInt64 = 0, hostBytes: UInt64 = 0, overheadBytes: UInt64 = 0) {
      (self.guestBytes, self.hostBytes, self.overheadBytes) = (guestBytes, hostBytes, overheadBytes)
    }
  }

  /// Host memory in tables of one kind, now and at most.
  public struct Tables: Codable, Equatable, Sendable {
    public var bytes: UInt64
    public var peakBytes: UInt64

    public init(bytes: UInt64, peakBytes: UInt64) { (self.bytes, self.peakBytes) = (bytes, peakBytes) }
  }

  /// A step function: what each sample says holds until the next one, with what lasts less than an interval left out.
  public struct Timeline: Codable, Equatable, Sendable {
    /// The clock now: the greatest of the processors'.
    public var cycles: UInt64
    /// The samples' times are multiples of this, but for the last one if it is that of now.
    public var interval: UInt64
    public var samples: [Sample]

    public init(cycles: UInt64, interval: UInt64, samples: [Sample]) {
      (self.cycles, self.interval, self.samples) = (cycles, interval, samples)
    }

    public struct Sample: Codable, Equatable, Sendable {
      /// From when on.
      public var cycles: UInt64
      /// Bytes by kind of table; kinds without a table are left out.
      public var tables: [String: UInt64]

      public init(cycles: UInt64, tables: [String: UInt64]) { (self.cycles, self.tables) = (cycles, tables) }
    }
  }
}
