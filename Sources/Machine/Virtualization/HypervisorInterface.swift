/// What a hypervisor reads and changes of a stopped guest besides the exit itself: the guest-state area of a VMCS,
/// field by field, so that an exit does not copy the whole processor.
extension Processor {
  /// The guest's time, as devices count it.
  public var guestTime: UInt64 { now }
  /// Whether the guest's time is the clock's. Where it is not, what two processors' clocks say of who came first is
  /// nothing.
  public var countsCycles: Bool { options.clock == .cycles }

  /// Instructions retired.
  public var instructionsRetired: UInt64 { s.pointee.retired }

  /// The registers that decide how the guest pages.
  @frozen public struct PagingRegisters: Equatable, Sendable {
    public var cr0: UInt64
    public var cr3: UInt64
    public var cr4: UInt64
    public var efer: UInt64
    /// The PDPTE registers; they count under PAE paging only.
    public var directoryPointers = DirectoryPointers()

    public init(cr0: UInt64, cr3: UInt64, cr4: UInt64, efer: UInt64) {
      self.cr0 = cr0
      self.cr3 = cr3
      self.cr4 = cr4
      self.efer = efer
    }
  }

  public var pagingRegisters: PagingRegisters {
    var registers = PagingRegisters(cr0: s.pointee.cr0, cr3: s.pointee.cr3, cr4: s.pointee.cr4, efer: s.pointee.efer)
    registers.directoryPointers = s.pointee.directoryPointers
    return registers
  }

  /// RFLAGS.IF.
  public var interruptsEnabled: Bool { s.pointee.systemFlags & Flag.interrupt != 0 }

  /// Whether the guest would take an external interrupt before its next instruction.
  public var canTakeInterrupt: Bool { interruptsEnabled && isAtBoundary }

  /// Whether the guest would take an NMI before its next instruction. What holds off interrupts after STI and MOV SS
  /// holds off NMIs too (SDM vol. 3, 6.8.3; table 25-3).
  public var canTakeNonMaskable: Bool {
    !s.pointee.blocksNonMaskable && isAtBoundary
  }

  /// Nothing holds off what comes from outside: neither the instruction before, nor a task switch that is not complete.
  private var isAtBoundary: Bool {
    s.pointee.interruptShadow != s.pointee.retired && !s.pointee.taskSwitch.isActive
  }

  /// An IRET that lets NMIs come again has faulted.
  public func unblockNonMaskable() { s.pointee.blocksNonMaskable = false }

  /// The debug trap that is due after the last instruction, with DR6 as its handler finds it; nil where none is. The
  /// hypervisor injects it after an instruction that it completed.
  public func takeDebugTrap() -> Event? {
    guard isTrapDue else { return nil }
    report(s.pointee.pendingDebug)
    s.pointee.pendingDebug = 0
    return .exception(.debug)
  }

  var isTrapDue: Bool { s.pointee.pendingDebug != 0 && s.pointee.stackShadow != s.pointee.retired }

  /// The stores to device registers that were granted to the instruction of which `assisted` is the end. They are handed
  /// over once.
  public func takeGrantedStores() -> [GrantedStore] {
    guard !grantedStores.isEmpty else { return [] }
    defer { grantedStores = [] }
    return grantedStores
  }

  /// Writes AL, AX or EAX, as IN does.
  public func setAccumulator(_ value: UInt32, width: Int) { setRegister(Slot.rax, width: width, UInt64(value)) }

  /// `idleUntilDeadline` outside a run.
  public func idleUntilDeadline(clockLimit: UInt64) -> RunResult? {
    self.clockLimit = clockLimit
    return idleUntilDeadline()
  }

  /// Ends the guest: it met a triple fault that only the hypervisor could see.
  public func shutDown() { s.pointee.isShutDown = true }

  /// Follows a write to host memory that no instruction made: code decoded from the bytes is stale. The bytes must lie
  /// in one page.
  public func hostMemoryChanged(at address: HostPhysical, count: Int) { noteWrite(to: address, width: count) }
}
