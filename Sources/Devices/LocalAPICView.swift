/// What a local APIC holds at a moment, for somebody who looks at it: reading registers may change them.
public struct LocalAPICView: Sendable {
  public let identifier: UInt32
  /// IA32_APIC_BASE.
  public let base: UInt64
  /// Whether IA32_APIC_BASE enables it, whether software does too, and whether it is in x2APIC mode.
  public let isPresent: Bool, isEnabled: Bool, isExtended: Bool
  public let taskPriority: UInt32, processorPriority: UInt32
  public let logicalDestination: UInt32, destinationFormat: UInt32
  public let spurious: UInt32, errors: UInt32
  /// The interrupt command, its destination in bits 63:32.
  public let command: UInt64
  /// IRR, ISR and TMR: the vectors in them.
  public let requested: [UInt8], inService: [UInt8], levelTriggered: [UInt8]
  /// The local vector table, in the order of its registers: timer, thermal, performance, LINT0, LINT1, error.
  public let localVectors: [UInt32]
  public let divider: UInt64
  public let initialCount: UInt32, currentCount: UInt32
  /// IA32_TSC_DEADLINE.
  public let deadline: UInt64

  init(_ unit: LocalAPIC, now: LocalAPIC.Time) {
    identifier = unit.identifier
    base = unit.baseRegister
    (isPresent, isEnabled, isExtended) = (unit.isPresent, unit.isEnabled, unit.isExtended)
    (taskPriority, processorPriority) = (unit.taskPriority, unit.processorPriority)
    logicalDestination = unit.isExtended ? unit.extendedLogicalDestination : unit.logicalDestination
    destinationFormat = unit.destinationFormat
    (spurious, errors) = (unit.spurious, unit.errors)
    command = UInt64(unit.commandHigh) << 32 | UInt64(unit.command)
    (requested, inService, levelTriggered) = (unit.requested.all, unit.inService.all, unit.triggerMode.all)
    localVectors = unit.localVectors
    divider = unit.divider
    (initialCount, currentCount) = (unit.initialCount, unit.currentCount(at: now))
    deadline = unit.deadline
  }
}
