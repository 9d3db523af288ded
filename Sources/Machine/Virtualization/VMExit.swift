/// What the hardware hands to the hypervisor: why it stopped, and what the handler needs to know (the VMCS's
/// exit-information fields). The guest's own registers are in `Processor.state`, as after the last completed
/// instruction.
///
/// It is a plain value, without anything that is counted: it is handed through several hands in every exit.
public struct VMExit: Equatable, Sendable {
  public var reason: ExitReason
  /// Length of the instruction that exited, for `Processor.skipInstruction`; 0 where no instruction did.
  public var instructionLength: UInt8 = 0
  /// Base cost in cycles of the instruction, charged when it is skipped.
  public var instructionCycles: UInt16 = 0

  /// Page and nested faults: the access and its linear address, and how many bytes were wanted.
  public var address = GuestVirtual(0)
  public var access = Access(.read, .supervisor)
  public var width: UInt8 = 0
  /// Page faults: the error code that the hardware made.
  public var errorCode: UInt32 = 0
  /// Nested faults, and whether one was met in loading PDPTEs: a table there outside memory is no page fault.
  public var nested: NestedFault?
  public var loadsDirectoryPointers = false

  /// Ports: number, direction, operand width and the value to write. String forms execute again with the port granted.
  public var port: UInt16 = 0
  public var isWrite = false
  /// Control registers and MSRs: number and value; ports: the value.
  public var number: UInt32 = 0
  public var value: UInt64 = 0
  /// INVPCID: type (0 to 3) in `number`, the descriptor's PCID in `value`, its address in `address`.

  /// The event that was being delivered when the fault happened: to be injected again once the fault is resolved, so
  /// that it never becomes a double fault.
  public var delivering: Event?
  /// The instruction is an IRET that would let NMIs come again: if the fault is the guest's own, it has.
  public var unblocksNonMaskable = false
  public init(_ reason: ExitReason) { self.reason = reason }

  /// An access that tables do not serve.
  init(_ reason: ExitReason, of access: Access, at address: GuestVirtual, width: Int) {
    self.reason = reason
    self.access = access
    self.address = address
    self.width = UInt8(truncatingIfNeeded: width)
  }
}
