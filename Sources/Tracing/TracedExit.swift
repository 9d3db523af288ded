import Machine

/// One exit as a trace tells it.
public struct TracedExit: Equatable, Sendable {
  /// `ExitReason.name`.
  public var reason: String
  /// Whose exit it is.
  public var processor: UInt64 = 0
  /// Where the guest stood.
  public var rip: UInt64 = 0
  /// The guest-virtual address of a fault or an invalidation, else 0.
  public var address: UInt64 = 0
  /// The guest-physical address of a nested fault.
  public var physical: UInt64?
  /// What else tells it from another exit of its reason: `TracedExit.detail(of:)`.
  public var detail: UInt64 = 0
  /// The clock and the instructions retired when the hypervisor was given control.
  public var clock: UInt64 = 0
  public var retired: UInt64 = 0

  public init(_ reason: String) { self.reason = reason }

  public init(_ exit: VMExit, rip: UInt64, clock: UInt64, retired: UInt64) {
    self.init(exit.reason.name)
    self.rip = rip
    address = exit.address.rawValue
    physical = exit.nested?.address.rawValue
    detail = TracedExit.detail(of: exit)
    self.clock = clock
    self.retired = retired
  }

  /// A page fault's error code; of a nested fault kind of access (bits 0-1), during a walk (2), entry present (3); of a
  /// port its number (0-15), width (16-23), a write (24) and its value (32-63); the value of a control register or MSR.
  static func detail(of exit: VMExit) -> UInt64 {
    switch exit.reason {
    case .pageFault: UInt64(exit.errorCode)
    case .nestedFault, .nestedMisconfiguration, .modificationLogFull:
      exit.nested.map { UInt64($0.kind.rawValue) | ($0.duringWalk ? 4 : 0) | ($0.present ? 8 : 0) } ?? 0
    case .port: UInt64(exit.port) | UInt64(exit.width) << 16 | (exit.isWrite ? 1 << 24 : 0) | exit.value << 32
    case .controlRegister0, .controlRegister3, .controlRegister4, .readMSR, .writeMSR, .invalidatePCID: exit.value
    case .invalidatePage, .halt, .externalInterrupt, .interruptWindow, .tripleFault, .assisted: 0
    }
  }

  /// Whether another is the same exit, at whatever time.
  public func isSame(as other: TracedExit) -> Bool {
    var moved = other
    moved.clock = clock
    return moved == self
  }
}

extension TracedExit: CustomStringConvertible {
  /// A line.
  public var description: String {
    func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
    var text = "\(reason) at RIP \(hexadecimal(rip))"
    if address != 0 { text += ", address \(hexadecimal(address))" }
    if let physical { text += ", guest-physical \(hexadecimal(physical))" }
    if detail != 0 { text += ", detail \(hexadecimal(detail))" }
    if processor != 0 { text += ", processor \(processor)" }
    return text + ", clock \(clock), retired \(retired)"
  }
}
