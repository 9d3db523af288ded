/// Everything that a processor's future depends on, besides memory, TLBs and caches: plain data, so that a snapshot
/// copies it.
///
/// What the dispatch loop touches at every operation stands first.
@frozen public struct ProcessorState {
  /// The register file (`Slot`).
  public var slots: InlineArray<24, UInt64>
  public var flags: LazyFlags
  /// Cycles of whole blocks, up to the start of the running one: the cause `execute`.
  public var executed: UInt64
  /// Cycles of every other cause.
  public var charged: UInt64
  /// Instructions retired up to the start of the running block.
  public var retired: UInt64
  /// Data accesses of whole blocks and of callouts.
  public var accesses: UInt64
  /// Leave the hot loop before `executed` reaches this: `clockDeadline` less what has been charged.
  public var executedDeadline: UInt64
  /// Leave the hot loop before the retired count passes this.
  public var retiredDeadline: UInt64
  public var clockDeadline: UInt64
  /// Under the instruction clock: the time that passed in HLT.
  public var idleTicks: UInt64

  /// The next instruction; while a block runs, the block's operations know better.
  public var rip: UInt64
  /// RFLAGS without the arithmetic flags, bit 1 set.
  public var systemFlags: UInt64
  public var cpl: UInt8
  /// Interrupts are held off for one instruction after STI and MOV SS while `retired` has this value.
  public var interruptShadow: UInt64
  /// Debug exceptions are held off behind MOV SS and POP SS, not behind STI, while `retired` has this value.
  public var stackShadow: UInt64
  /// Causes of the debug trap that is due at the next instruction boundary, as bits of DR6 (the VMCS's pending debug
  /// exceptions).
  public var pendingDebug: UInt64
  /// An NMI is being handled: another one waits for IRET (SDM vol. 3, 6.7.1).
  public var blocksNonMaskable: Bool
  /// In HLT, or before an instruction of the x87 with an error to report, waiting for an interrupt.
  public var isHalted: Bool
  /// FERR# is asserted: an exception of the x87 was reported to the bus.
  public var reportsCoprocessorError: Bool
  /// Waiting for a start-up interrupt (SDM vol. 3, 9.4.2): nothing else but INIT reaches the processor.
  public var awaitsStartUp: Bool
  /// A task switch whose second part is due before the next instruction.
  public var taskSwitch: PendingTaskSwitch
  /// Of several processors: others should go on before the next instruction.
  public var yields: Bool
  /// A triple fault has happened; nothing runs any more.
  public var isShutDown: Bool

  public var segments: InlineArray<6, Segment>
  public var ldtr: Segment
  public var tr: Segment
  public var gdtr: DescriptorTable
  public var idtr: DescriptorTable

  public var cr0: UInt64
  public var cr2: UInt64
  public var cr3: UInt64
  public var cr4: UInt64
  public var xcr0: UInt64
  /// IA32_XSS: the supervisor's components of XSAVES.
  public var xss: UInt64
  public var efer: UInt64
  /// The PDPTE registers, loaded under PAE paging.
  public var directoryPointers: DirectoryPointers
  public var debugRegisters: InlineArray<8, UInt64>

  /// XMM registers, MXCSR and the x87.
  public var vector: VectorState

  public var star: UInt64
  public var lstar: UInt64
  public var cstar: UInt64
  public var sfmask: UInt64
  public var kernelGSBase: UInt64
  public var tscAux: UInt64
  /// What WRMSR of the TSC added to it.
  public var tscOffset: UInt64
  public var sysEnterCS: UInt64
  public var sysEnterESP: UInt64
  public var sysEnterEIP: UInt64
  public var pat: UInt64
  public var miscEnable: UInt64
  public var memoryTypes: MemoryTypeRegisters
  public var machineCheck: MachineCheckRegisters
  /// What protection keys deny, two bits a key: PKRU, and IA32_PKRS.
  public var pkru: UInt32
  public var pkrs: UInt32
  /// Numbers that RDRAND and RDSEED have given.
  public var randomDraws: UInt64

  /// Power-up values (SDM vol. 3, table 9-1), which a boot protocol then overrides.
  public init() {
    slots = InlineArray(repeating: 0)
    flags = LazyFlags(0)
    executed = 0
    charged = 0
    retired = 0
    accesses = 0
    executedDeadline = 0
    retiredDeadline = 0
    clockDeadline = 0
    idleTicks = 0
    rip = 0xfff0
    systemFlags = Flag.one
    cpl = 0
    interruptShadow = .max
    stackShadow = .max
    pendingDebug = 0
    blocksNonMaskable = false
    isHalted = false
    reportsCoprocessorError = false
    awaitsStartUp = false
    taskSwitch = PendingTaskSwitch()
    yields = false
    isShutDown = false
    segments = InlineArray(repeating: Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x93))
    segments[Int(SegmentRegister.cs.rawValue)] =
      Segment(selector: 0xf000, base: 0xffff_0000, limit: 0xffff, attributes: 0x9b)
    ldtr = Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x82)
    tr = Segment(selector: 0, base: 0, limit: 0xffff, attributes: 0x8b)
    gdtr = DescriptorTable(base: 0, limit: 0xffff)
    idtr = DescriptorTable(base: 0, limit: 0xffff)
    cr0 = CR0.extensionType | CR0.notWriteThrough | CR0.cacheDisable
    cr2 = 0
    cr3 = 0
    cr4 = 0
    xcr0 = 1
    xss = 0
    efer = 0
    directoryPointers = DirectoryPointers()
    debugRegisters = InlineArray(repeating: 0)
    debugRegisters[6] = 0xffff_0ff0
    debugRegisters[7] = 0x400
    vector = VectorState()
    star = 0
    lstar = 0
    cstar = 0
    sfmask = 0
    kernelGSBase = 0
    tscAux = 0
    tscOffset = 0
    sysEnterCS = 0
    sysEnterESP = 0
    sysEnterEIP = 0
    pat = 0x0007_0406_0007_0406
    miscEnable = MiscEnable.fastStrings
    memoryTypes = MemoryTypeRegisters()
    machineCheck = MachineCheckRegisters()
    pkru = 0
    pkrs = 0
    randomDraws = 0
  }

  /// The ledger's sum, up to the start of the running block.
  @inline(__always) public var clock: UInt64 { executed &+ charged }

  /// A segment register.
  @inline(__always) public subscript(_ register: SegmentRegister) -> Segment {
    get { segments[Int(register.rawValue)] }
    set {
      segments[Int(register.rawValue)] = newValue
      if register == .fs { slots[Int(Slot.fsBase)] = newValue.base }
      if register == .gs { slots[Int(Slot.gsBase)] = newValue.base }
    }
  }

  /// RFLAGS whole.
  @inline(__always) public var rflags: UInt64 {
    get { systemFlags | flags.bits }
    set {
      systemFlags = newValue & Flag.defined & ~Flag.arithmetic | Flag.one
      flags = LazyFlags(newValue)
    }
  }

  @inline(__always) public var isLongMode: Bool { efer & EFER.longModeActive != 0 }

  /// The size of the code that CS selects.
  @inline(__always) public var codeSize: CodeSize {
    let cs = segments[Int(SegmentRegister.cs.rawValue)]
    if isLongMode && cs.isLong { return .bits64 }
    return cs.isBig ? .bits32 : .bits16
  }
}

extension ProcessorState {
  /// The MSRs that have no names here, only numbers: the memory types' and the machine check's.
  public static let numberedRegisters: [UInt32] = (UInt32(0)..<0x500).filter {
    MemoryTypeRegisters()[$0] != nil || MachineCheckRegisters()[$0] != nil
  }

  /// - Parameter number: one of `numberedRegisters`; any other reads as 0.
  public func numberedRegister(_ number: UInt32) -> UInt64 { memoryTypes[number] ?? machineCheck[number] ?? 0 }
}
