/// One step of decoded guest code, 32 bytes: what the dispatch loop reads.
///
/// An instruction is one operation, or an `address` operation and one that uses its result. Register fields are *slots*
/// (`Slot`), so that an absent base or index is a slot that always holds zero and an address is formed without a
/// branch: `slots[base] + slots[index] << scale + disp`.
@frozen public struct Operation: Sendable {
  /// What to do.
  public var handler: Handler
  /// Bytes of the guest instruction that end with this operation; 0 for an operation that only prepares the next.
  public var length: UInt8
  /// Condition (`Condition`), `Callout` number, or segment, by handler.
  public var n: UInt8
  /// Destination register slot (`Slot`), or the register of a form with one register.
  public var dst: UInt8
  /// Source register slot.
  public var src: UInt8
  /// Memory operand: base slot, index slot, log2 of the scale.
  public var base: UInt8
  public var index: UInt8
  public var scale: UInt8
  /// The number of the instruction within its block, from 0: added to the retired count it is the time stamp of its
  /// accesses.
  public var indexInBlock: UInt8
  /// Base cost in cycles. The decoder stores a `CostClass` here, which the block builder turns into the profile's
  /// cycles.
  public var cycles: UInt16
  /// Displacement of the memory operand. A RIP-relative operand that does not fit is prepared by `address`.
  public var disp: Int32
  /// Immediate operand, sign- or zero-extended as the instruction wants it; the absolute target of a direct branch.
  public var imm: Int64
  /// Direct branches: address of the linked block, 0 while unlinked. Callouts: the packed `OperandForm`.
  public var link: UInt64

  @inlinable public init(
    _ handler: Handler, length: UInt8 = 0, dst: UInt8 = Slot.zero, src: UInt8 = Slot.zero, base: UInt8 = Slot.zero,
    index: UInt8 = Slot.zero, scale: UInt8 = 0, imm: Int64 = 0, disp: Int32 = 0, cost: CostClass = .simple,
    n: UInt8 = 0, link: UInt64 = 0
  ) {
    self.handler = handler
    self.length = length
    self.dst = dst
    self.src = src
    self.base = base
    self.index = index
    self.scale = scale
    self.indexInBlock = 0
    self.imm = imm
    self.disp = disp
    self.cycles = UInt16(cost.rawValue)
    self.n = n
    self.link = link
  }
}

/// Numbers of the register file's slots: the sixteen general registers in encoding order, then what lets an address be
/// formed alike always.
public enum Slot {
  public static let rax: UInt8 = 0, rcx: UInt8 = 1, rdx: UInt8 = 2, rbx: UInt8 = 3
  public static let rsp: UInt8 = 4, rbp: UInt8 = 5, rsi: UInt8 = 6, rdi: UInt8 = 7
  /// Always 0: no base, no index.
  public static let zero: UInt8 = 16
  /// The bases of FS and GS, so that `gs:[disp]` is base GS and no index.
  public static let fsBase: UInt8 = 17, gsBase: UInt8 = 18
  /// The result of an `address` operation, which the operation after it uses as its base.
  public static let address: UInt8 = 19
  /// How many slots there are.
  public static let count = 24
  /// Set in a register field of a one-byte operand that is AH, CH, DH or BH: the slot is the low two bits.
  public static let highByte: UInt8 = 0x20
}

/// The size of code that a code segment selects (CS.L and CS.D).
@frozen public enum CodeSize: UInt8, Sendable, CaseIterable {
  case bits16, bits32, bits64
}

/// The sixteen conditions in encoding order: the low bit negates (SDM vol. 1, appendix B).
@frozen public enum Condition: UInt8, Sendable, CaseIterable {
  case o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
}

/// What class of base cost an instruction has; the profile gives each class its cycles.
@frozen public enum CostClass: UInt8, Sendable, CaseIterable {
  /// Moves, integer arithmetic, address computation, branches predicted right: pipelined.
  case simple
  /// A micro-operation that costs nothing of its own.
  case free
  case multiply
  /// DIV and IDIV of 32 bits or fewer, and of 64 bits.
  case divide
  case divide64
  /// A locked read-modify-write, or XCHG with memory.
  case locked
  /// MFENCE, LFENCE, SFENCE.
  case fence
  /// The start of a string instruction, and one element of it.
  case stringSetup
  case stringElement
  /// PAUSE.
  case pause
  /// CPUID, RDTSC, RDMSR, WRMSR and other serialising or microcoded instructions, each with a figure of its own.
  case cpuid
  case readTimeStamp
  case readMSR
  case writeMSR
  case moveControl
  case loadSegment
  case loadDescriptorTable
  case invalidatePage
  case systemCall
  case systemReturn
  case interruptReturn
  case swapGS
  case flagsImage
  case farTransfer
  case cacheLine
  case microcoded
  /// The x87: what is pipelined, FDIV and FSQRT, transcendental functions, and saves and restores of its state.
  case x87
  case x87Divide
  case x87Transcendental
  case x87State

  /// The key of the class in a cost profile: `execute.` and this.
  public var key: String { "execute.\(self)" }
}
