/// What can be seen of a running machine. An observer cannot change the outcome: it is told after the fact, from slow
/// paths only, and by default listens to nothing.
public protocol MachineObserver: AnyObject {
  /// The hardware handed an exit to the hypervisor.
  func exited(_ exit: VMExit, at clock: UInt64, retired: UInt64)
  /// An event is delivered through the guest's IDT.
  func delivered(_ event: Event, rip: UInt64, at clock: UInt64)
  /// A walk by the hardware was completed or failed.
  func walked(_ address: GuestVirtual, access: Access, result: WalkResult)
  /// The guest executed a mark.
  func marked(_ id: UInt8, at clock: UInt64, retired: UInt64)
  /// An instruction does something to the machine's state.
  func happened(_ event: SystemEvent)
}

extension MachineObserver {
  public func exited(_ exit: VMExit, at clock: UInt64, retired: UInt64) {}
  public func delivered(_ event: Event, rip: UInt64, at clock: UInt64) {}
  public func walked(_ address: GuestVirtual, access: Access, result: WalkResult) {}
  public func marked(_ id: UInt8, at clock: UInt64, retired: UInt64) {}
  public func happened(_ event: SystemEvent) {}
}
