/// What travels to the local APICs: an interrupt command of one of them, or what an entry of the I/O APIC sends (SDM
/// vol. 3, 11.6 and 11.10).
struct InterruptMessage: Equatable, Sendable {
  /// The delivery mode, as registers have it; 3 is reserved.
  enum Mode: UInt8, Sendable {
    case fixed = 0
    case lowestPriority = 1
    case systemManagement = 2
    case nonMaskable = 4
    case initialize = 5
    case startUp = 6
    /// The vector comes from the 8259 pair. Commands cannot send it.
    case external = 7
  }

  /// Whom it is for.
  enum Destination: Equatable, Sendable {
    /// The APIC of an identifier.
    case physical(UInt32)
    /// Those whose logical destination matches.
    case logical(UInt32)
    case sender
    case everyone
    case everyoneElse
  }

  var mode: Mode
  var vector: UInt8
  var destination: Destination
  var isLevelTriggered = false

  /// The destination that a field names in which all ones stand for everyone: 8 bits, or 32 from an APIC in x2APIC mode
  /// (11.6.2.1, 11.12.9).
  static func destination(_ field: UInt32, isLogical: Bool, isExtended: Bool) -> Destination {
    if isLogical { return .logical(field) }
    return field == (isExtended ? .max : 0xff) ? .everyone : .physical(field)
  }
}
