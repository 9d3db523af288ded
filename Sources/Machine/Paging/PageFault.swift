/// A page fault as the walker finds it, and as the processor reports it (SDM vol. 3, 4.7).
@frozen public struct PageFault: Equatable, Sendable {
  /// The error code's bits.
  public enum Code {
    public static let present: UInt32 = 1 << 0
    public static let write: UInt32 = 1 << 1
    public static let user: UInt32 = 1 << 2
    public static let reserved: UInt32 = 1 << 3
    public static let fetch: UInt32 = 1 << 4
    public static let protectionKey: UInt32 = 1 << 5
  }

  /// What CR2 receives.
  public var address: GuestVirtual
  public var errorCode: UInt32
  /// The level whose entry decided (1 for a PTE), and the entry.
  public var level: UInt8
  public var entry: UInt64
  /// Whether that entry is one of the guest's own tables behind a switching entry, and the fault the guest's own.
  public var isBehindSwitch = false

  public init(address: GuestVirtual, errorCode: UInt32, level: UInt8, entry: UInt64) {
    self.address = address
    self.errorCode = errorCode
    self.level = level
    self.entry = entry
  }
}

/// A guest-physical access that the second dimension refuses: EPT violation or misconfiguration, AMD's nested page
/// fault.
@frozen public struct NestedFault: Equatable, Sendable {
  public var address: GuestPhysical
  public var kind: AccessKind
  /// Whether the address is that of one of the guest's tables (else of the page that was accessed).
  public var duringWalk: Bool
  public var misconfigured: Bool
  /// Whether an entry was present and denied the access (else there was none).
  public var present: Bool
  /// Nothing is denied, but A or D would have to be set, and the page-modification log is full.
  public var isLogFull = false
}
