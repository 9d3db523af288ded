import CCapstone
import Machine

/// Where a memory operand is: `slots[base] + slots[index] << scale + disp`, linear.
struct MemoryOperand {
  var base = Slot.zero
  var index = Slot.zero
  var scale: UInt8 = 0
  var disp: Int32 = 0
  /// The segment to blame for a bad address, and for string instructions the one to add; nil where flat.
  var segment: SegmentRegister?
}

/// The operands of an instruction as a callout wants them: a shape and its fields.
struct Operands {
  var shape = OperandShape.none
  var dst = Slot.zero
  var src = Slot.zero
  var memory = MemoryOperand()
  var imm: Int64 = 0

  /// Whether a register is AH, CH, DH or BH, which no hot handler takes.
  var hasHighByte: Bool { (dst | src) & Slot.highByte != 0 }
}

extension Lowering {
  func operand(_ i: Int) -> DecodedOperand {
    switch i {
    case 0: instruction.pointee.operands.0
    case 1: instruction.pointee.operands.1
    case 2: instruction.pointee.operands.2
    case 3: instruction.pointee.operands.3
    default: instruction.pointee.operands.4
    }
  }

  /// The slot of a general register; nil for all others.
  func slot(_ register: DecodedRegister) -> UInt8? {
    switch register.kind {
    case DecodedRegister8, DecodedRegister16, DecodedRegister32, DecodedRegister64: register.number
    case DecodedRegister8High: Slot.highByte | register.number
    default: nil
    }
  }

  /// Collects the first `limit` of Capstone's operands into a shape, and prepares the address of a memory operand.
  ///
  /// The immediate is taken from the bytes and not from Capstone, whose versions differ in how far they extend it.
  /// - Parameters:
  ///   - limit: how many operands count: some instructions have implied ones behind (CL of a shift).
  ///   - memoryFirst: whether memory is the destination even where Capstone names it second (TEST, XCHG).
  ///   - displacementBias: is added to the address.
  mutating func gather(
    limit: Int = Int(DECODED_OPERAND_LIMIT), memoryFirst: Bool = false, displacementBias: Int64 = 0
  ) -> Operands? {
    var result = Operands()
    var registers = 0
    var hasMemory = false
    var memoryLeads = memoryFirst
    for i in 0..<min(limit, Int(instruction.pointee.operandCount)) {
      let operand = operand(i)
      switch operand.kind {
      case DecodedOperandRegister:
        guard let slot = slot(operand.base) else { return nil }
        if registers == 0 { result.dst = slot } else { result.src = slot }
        registers += 1
      case DecodedOperandMemory:
        guard let memory = memory(operand, displacementBias: displacementBias) else { return nil }
        if registers == 0 { memoryLeads = true }
        result.memory = memory
        hasMemory = true
      default: break
      }
    }
    let hasImmediate = encoding.immediateSize > 0
    if hasImmediate { result.imm = immediate }
    if hasMemory && memoryLeads && registers > 0 { swap(&result.dst, &result.src) }
    guard
      let shape = Self.shape(
        registers: registers, hasMemory: hasMemory, memoryLeads: memoryLeads, hasImmediate: hasImmediate)
    else { return nil }
    result.shape = shape
    return result
  }

  private static func shape(registers: Int, hasMemory: Bool, memoryLeads: Bool, hasImmediate: Bool) -> OperandShape? {
    switch (registers, hasMemory, hasImmediate) {
    case (0, false, false): OperandShape.none
    case (0, false, true): .i
    case (0, true, false): .m
    case (0, true, true): .mi
    case (1, false, false): .r
    case (1, false, true): .ri
    case (1, true, false): memoryLeads ? .mr : .rm
    case (1, true, true): memoryLeads ? .mri : .rmi
    case (2, false, false): .rr
    case (2, false, true): .rri
    default: nil
    }
  }

  /// The segment of a memory operand with this base: the override, or SS for a stack pointer, or DS.
  func segment(base: UInt8) -> SegmentRegister? {
    let isStack = base == Slot.rsp || base == Slot.rbp
    if is64 { return encoding.segmentOverride ?? (isStack ? .ss : nil) }
    return encoding.segmentOverride ?? (isStack ? .ss : .ds)
  }

  /// The segment of an implied pointer (rSI, rAX, rBX): the override, or DS, or nil where that is flat.
  var impliedSegment: SegmentRegister? { encoding.segmentOverride ?? (is64 ? nil : .ds) }

  private var addressMask: UInt64 {
    switch encoding.addressSize {
    case .bits16: 0xffff
    case .bits32: 0xffff_ffff
    case .bits64: .max
    }
  }

  /// A base or index: the slot, `zero` where there is none, nil where it is no general register (gathers' vectors).
  private func component(_ register: DecodedRegister) -> UInt8? {
    register.kind == DecodedRegisterNone ? Slot.zero : slot(register)
  }

  /// Makes a memory operand addressable, with an operation in front where one operation cannot form its address.
  ///
  /// - Parameter hasSegment: false for LEA, which computes the offset alone.
  mutating func memory(
    _ operand: DecodedOperand, displacementBias: Int64 = 0, hasSegment: Bool = true
  ) -> MemoryOperand? {
    var disp = operand.value &+ displacementBias
    var result = MemoryOperand()
    if operand.base.kind == DecodedRegisterInstructionPointer {
      disp &+= Int64(bitPattern: next)
      if encoding.addressSize == .bits32 { disp &= 0xffff_ffff }
    } else {
      guard let base = component(operand.base), let index = component(operand.index) else { return nil }
      result.base = base
      result.index = index
      result.scale = operand.scale
    }
    result.segment = hasSegment ? segment(base: result.base) : nil
    let isConstant = result.base == Slot.zero && result.index == Slot.zero

    if is64 && (encoding.addressSize == .bits64 || isConstant) {
      if encoding.addressSize == .bits32 { disp &= 0xffff_ffff }
      place(displacement: disp, in: &result)
      addSegmentBase(hasSegment ? encoding.segmentOverride : nil, to: &result)
      return result
    }
    prepareAddress(
      &result, disp: Int32(truncatingIfNeeded: disp), mask: addressMask,
      segment: hasSegment ? (is64 ? encoding.segmentOverride : result.segment) : nil)
    return result
  }

  /// The memory operand of MOV between memory and AL/rAX, whose offset stands in the place of an immediate.
  mutating func offsetOperand() -> MemoryOperand {
    let offset = unsignedImmediate
    var result = MemoryOperand(segment: impliedSegment)
    if is64 {
      place(displacement: offset, in: &result)
      addSegmentBase(encoding.segmentOverride, to: &result)
    } else {
      prepareAddress(
        &result, disp: Int32(truncatingIfNeeded: offset), mask: addressMask, segment: result.segment)
    }
    return result
  }

  /// Puts a displacement into the operand, by way of a register where it has more than 32 bits. Then base and index are
  /// free, or the sum is formed first.
  private mutating func place(displacement: Int64, in operand: inout MemoryOperand) {
    if let small = Int32(exactly: displacement) {
      operand.disp = small
      return
    }
    // Only constant addresses are this large: an encoded displacement beside a register has 32 bits, and the bias of
    // POP, which may carry it over, is left to a second operation.
    if operand.base != Slot.zero || operand.index != Slot.zero {
      prepareAddress(&operand, disp: Int32.max, mask: .max, segment: nil)
      operand.disp = Int32(truncatingIfNeeded: displacement &- Int64(Int32.max))
      return
    }
    prepare(Operation(.movRI, dst: Slot.address, imm: displacement))
    operand.base = Slot.address
  }

  /// Adds the base of FS or GS in 64-bit code: in the place of an absent base or index, or by an operation in front.
  private mutating func addSegmentBase(_ segment: SegmentRegister?, to operand: inout MemoryOperand) {
    guard let segment else { return }
    let baseSlot = segment == .fs ? Slot.fsBase : Slot.gsBase
    if operand.base == Slot.zero {
      operand.base = baseSlot
    } else if operand.index == Slot.zero {
      operand.index = baseSlot
      operand.scale = 0
    } else {
      prepareAddress(&operand, disp: operand.disp, mask: .max, segment: segment)
    }
  }

  /// Emits `address` for what the operand holds so far, which then is all in `Slot.address`.
  private mutating func prepareAddress(
    _ operand: inout MemoryOperand, disp: Int32, mask: UInt64, segment: SegmentRegister?
  ) {
    prepare(
      Operation(
        .address, base: operand.base, index: operand.index, scale: operand.scale, imm: Int64(bitPattern: mask),
        disp: disp, n: segment?.rawValue ?? 7))
    operand.base = Slot.address
    operand.index = Slot.zero
    operand.scale = 0
    operand.disp = 0
  }
}
