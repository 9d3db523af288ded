#if os(Linux) && arch(x86_64)
  import Machine
  import Vectors

  /// Makes instructions of a form with operands: bytes, registers and memory, ready for the host's processor.
  ///
  /// Pointers go where programs have memory, mostly; some to nowhere, some to addresses that do not exist, some across
  /// the end of a page. What the vector unit and the x87 ask for is in extensions of their own.
  struct InstructionMaker: MadeInstruction {
    let form: OpcodeForm
    var operands: OperandMaker

    var bytes: [UInt8] = []
    var state = HostExecutor.State()
    /// Memory that is not zero, the instruction apart.
    var memory: [ListedByte] = []
    /// Registers that the instruction names, and those that many instructions imply.
    var usedGeneral: UInt16 = 0x00ff
    var usedVectors: UInt16 = 0
    /// The count of a shift as encoded, 1 for others.
    private(set) var count: UInt64 = 1
    /// Where the displacement of a RIP-relative operand is, and what it shall reach.
    private var relative: (offset: Int, target: UInt64)?
    /// ModRM.reg and ModRM.rm with their extensions.
    var reg: UInt8 = 0
    var rm: UInt8 = 0
    /// The register of VEX.vvvv.
    var third: UInt8 = 0
    var immediate: [UInt8] = []

    var random: SeededRandom {
      get { operands.random }
      set { operands.random = newValue }
    }

    init(_ form: OpcodeForm, random: SeededRandom) {
      self.form = form
      operands = OperandMaker(random: random)
      make()
    }

    var size: CodeSize { .bits64 }
    var description: String { form.description }
    var usesVectors: Bool { form.usesVectors }
    var usesX87: Bool { form.usesX87 }
    /// MASKMOVQ and MASKMOVDQU, for bytes that they do not store (SDM vol. 2).
    var mayFaultAtWill: Bool { form.opcode == 0xf7 && form.unit != .general }

    /// SHLD and SHRD of 16 bits by more than 16, and of the x87's functions F2XM1 beyond 1 and FYL2XP1 beyond
    /// 1 - sqrt(1/2) (SDM vol. 2, "Description" of each).
    func isOpen(_ mnemonic: String) -> Bool {
      switch mnemonic {
      case "f2xm1": state.x87[0].head & 0x7fff >= 0x3fff
      // Below a quarter it is within either bound.
      case "fyl2xp1": state.x87[0].head & 0x7fff >= 0x3ffd
      default: ["shld", "shrd"].contains(mnemonic) && width == 2 && count & 0x1f > 16
      }
    }

    /// Branches may lie in the highest page, from where they lead to addresses that are not canonical; and what does not
    /// fit goes on in a page that there is not.
    private mutating func placeAtTop() {
      guard steps && random.once(in: 6) else { return }
      state.rip = ProgramMemory.top + 0xfff - (random.once(in: 4) ? random.below(8) : 8 + random.below(0x400))
    }

    var steps: Bool {
      switch (form.map, form.opcode) {
      case (.primary, 0x70...0x7f), (.primary, 0xe0...0xe3), (.primary, 0xe8), (.primary, 0xe9), (.primary, 0xeb),
        (.primary, 0xc2), (.primary, 0xc3):
        true
      case (.primary, 0xff): form.digit == 2 || form.digit == 4
      case (.secondary, 0x80...0x8f): true
      default: false
      }
    }

    /// Operand size in bytes, as far as `UndefinedFlags` and immediates ask.
    var width: Int {
      switch (form.map, form.opcode) {
      case (.primary, 0x00...0x3f), (.primary, 0x80), (.primary, 0x81), (.primary, 0x84...0x89),
        (.primary, 0xa4...0xaf), (.primary, 0xc0), (.primary, 0xc1), (.primary, 0xc6), (.primary, 0xc7),
        (.primary, 0xd0...0xd3), (.primary, 0xf6), (.primary, 0xf7), (.primary, 0xfe), (.secondary, 0xb0),
        (.secondary, 0xb1), (.secondary, 0xc0), (.secondary, 0xc1):
        form.opcode & 1 == 0 ? 1 : wordSize
      case (.primary, 0xb0...0xb7): 1
      default: wordSize
      }
    }

    private var wordSize: Int { form.isWide ? 8 : form.prefix == 0x66 ? 2 : 4 }

    // MARK: Putting it together

    private mutating func make() {
      for slot in 0..<16 { state.general[slot] = operands.integer() }
      state.rflags =
        Flag.one | Flag.interrupt | random.next() & Flag.arithmetic | (random.once(in: 4) ? Flag.direction : 0)
      state.rip = place(of: ProgramMemory.code, pages: 14)
      placeAtTop()
      setImpliedPointers()
      choose()
      encode()
      fillMemory()
      setSpecialValues()
      for slot in 0..<16 where usedGeneral & 1 << UInt16(slot) == 0 { state.general[slot] = 0 }
      if let relative {
        let next = state.rip &+ UInt64(bytes.count)
        setBytes(relative.target &- next, at: relative.offset, count: 4)
      }
      if state.rip >= ProgramMemory.top { bytes = Array(bytes.prefix(Int(ProgramMemory.top + 4096 - state.rip))) }
      if form.usesVectors { setVectors() }
      if form.usesX87 { setX87() }
    }

    /// An address in a region of some pages, now and then at the end of one.
    private mutating func place(of region: UInt64, pages: UInt64) -> UInt64 {
      let page = region + random.below(pages) << 12
      return random.once(in: 12) ? page + 0xff0 + random.below(16) : page + 0x40 + random.below(0xf40)
    }

    /// Pointers that instructions use without naming them.
    private mutating func setImpliedPointers() {
      state.general[Int(Slot.rsp)] = ProgramMemory.stack + 0x200 + random.below(0x1c00 / 8) * 8
      if random.once(in: 16) { state.general[Int(Slot.rsp)] = dataAddress(aligned: false) }
      switch (form.map, form.opcode) {
      case (.primary, 0xa4...0xa7), (.primary, 0xaa...0xaf):
        state.general[Int(Slot.rsi)] = dataAddress(aligned: false)
        state.general[Int(Slot.rdi)] = dataAddress(aligned: false)
        state.general[Int(Slot.rcx)] = random.once(in: 24) ? random.next() : random.below(12)
      case (.primary, 0xc8), (.primary, 0xc9):
        state.general[Int(Slot.rbp)] = ProgramMemory.stack + 0x400 + random.below(0x1000)
      case (.primary, 0xd7): state.general[Int(Slot.rbx)] = dataAddress(aligned: false)
      case (.secondary, 0xf7), (.vexSecondary, 0xf7): state.general[Int(Slot.rdi)] = dataAddress(aligned: false)
      case (.primary, 0xe0...0xe3): if !random.once(in: 3) { state.general[Int(Slot.rcx)] = random.below(3) }
      default: break
      }
    }

    /// Where an operand is.
    mutating func dataAddress(aligned: Bool) -> UInt64 {
      let nowhere = ProgramMemory.nowhere
      switch random.below(32) {
      case 0: return nowhere + random.below(0x1000_0000)
      // No canonical address has bits 63 to 47 unlike.
      case 1: return 0x0000_8000_0000_0000 + random.next() & 0x7fff_ffff_ffff_ffff % 0xfffe_0000_0000_0000
      case 2: return ProgramMemory.data + 0x4000 - random.below(16)
      case 3, 4: return ProgramMemory.data + 0x1000 - random.below(16)
      default:
        let address = ProgramMemory.data + 0x40 + random.below(0x3f00)
        return aligned && !random.once(in: 4) ? address & ~(form.isLong ? 0x1f : 0xf) : address
      }
    }

    private mutating func choose() {
      reg = form.digit ?? UInt8(random.below(16))
      rm = form.rm ?? UInt8(random.below(16))
      if form.isVEX { chooseThird() }
      immediate = makeImmediate()
      usedGeneral |= 1 << UInt16(reg) | 1 << UInt16(rm) | 1 << UInt16(third)
      guard form.usesVectors else { return }
      usedVectors |= 1 << UInt16(reg) | 1 << UInt16(third) | (form.operand == .register ? 1 << UInt16(rm) : 0)
      // The register of a fourth operand.
      if form.map == .vex3A, let byte = immediate.first { usedVectors |= 1 << UInt16(byte >> 4) }
    }

    // MARK: Bytes

    private mutating func encode() {
      var address = [UInt8]()
      var extensions: UInt8 = 0
      let hasModRM = form.operand != .none
      if form.operand == .memory {
        (address, extensions) = isGather ? makeGatherAddress() : makeAddress()
        usedGeneral |= addressRegisters
        if random.once(in: 12) { bytes.append([0x2e, 0x36, 0x3e, 0x26, 0x65][Int(random.below(5))]) }
      } else if hasModRM {
        extensions = rm >> 3
        address = [0xc0 | rm & 7]
      }
      if hasModRM {
        extensions |= (reg >> 3) << 2
        address[0] |= (reg & 7) << 3
      }
      let names = registerInOpcode
      if names {
        extensions = UInt8(random.below(2))
        // With REX.B, NOP becomes XCHG.
        if form.opcode == 0x90 && form.prefix == 0xf3 { extensions = 0 }
        usedGeneral |= 1 << UInt16(form.opcode & 7 | extensions << 3)
      }
      if form.isVEX {
        encodeVEX(extensions)
      } else {
        encodeLegacy(extensions, mayHaveREX: hasModRM || names)
      }
      let start = bytes.count
      bytes += address
      if relative != nil { relative?.offset += start }
      bytes += immediate
    }

    /// Whether the low bits of the opcode are a register.
    private var registerInOpcode: Bool {
      switch (form.map, form.opcode) {
      case (.primary, 0x50...0x5f), (.primary, 0x90...0x97), (.primary, 0xb0...0xbf), (.secondary, 0xc8...0xcf): true
      default: false
      }
    }

    private mutating func encodeLegacy(_ extensions: UInt8, mayHaveREX: Bool) {
      if form.prefix != 0 { bytes.append(form.prefix) }
      let rex = (form.isWide ? 8 : 0) | extensions
      if rex != 0 || mayHaveREX && random.once(in: 4) { bytes.append(0x40 | rex) }
      switch form.map {
      case .secondary: bytes += [0x0f]
      case .map38: bytes += [0x0f, 0x38]
      case .map3A: bytes += [0x0f, 0x3a]
      default: break
      }
      bytes.append(form.opcode)
    }

    /// ModRM, SIB and displacement of a memory operand, ModRM.reg left 0; and the bits X and B of REX.
    private mutating func makeAddress() -> (bytes: [UInt8], extensions: UInt8) {
      let target = dataAddress(aligned: form.usesVectors || form.opcode == 0xc7)
      self.target = target
      var target32 = target
      if target < 1 << 31 && random.once(in: 10) {
        // Addresses of 32 bits: what is above counts for nothing.
        bytes.append(0x67)
        target32 = target | random.next() << 32
      }
      if target < 1 << 31 && random.once(in: 8) {
        if random.once(in: 2) {
          relative = (1, target)
          return ([0x05, 0, 0, 0, 0], 0)
        }
        return ([0x04, 0x25] + OpcodeForm.bytes(target, 4), 0)
      }
      let base = UInt8(random.below(16))
      addressRegisters |= 1 << UInt16(base)
      let displacement: (mod: UInt8, value: UInt64, count: Int) =
        switch random.below(3) {
        case 0 where base & 7 != 5: (0x00, 0, 0)
        case 0, 1: (0x40, UInt64(bitPattern: Int64(Int8(truncatingIfNeeded: random.next()))), 1)
        default: (0x80, UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: random.next() >> 40))), 4)
        }
      let tail = OpcodeForm.bytes(displacement.value, displacement.count)
      let index = UInt8(random.below(16))
      // Number 4 means that there is no index.
      if base & 7 == 4 || random.once(in: 3) {
        let hasIndex = index != 4 && index != base
        let scale = UInt8(random.below(4))
        var offset: UInt64 = 0
        if hasIndex {
          addressRegisters |= 1 << UInt16(index)
          if random.once(in: 2) { state.general[Int(index)] = random.below(64) &- 32 }
          offset = state.general[Int(index)] << UInt64(scale)
        }
        state.general[Int(base)] = target32 &- displacement.value &- offset
        let number: UInt8 = hasIndex ? index : 4
        return (
          [displacement.mod | 4, scale << 6 | (number & 7) << 3 | base & 7] + tail, (number >> 3) << 1 | base >> 3
        )
      }
      state.general[Int(base)] = target32 &- displacement.value
      return ([displacement.mod | base & 7] + tail, base >> 3)
    }

    /// Where the memory operand is, as far as ModRM says it.
    var target: UInt64?

    // MARK: Immediates

    private mutating func makeImmediate() -> [UInt8] {
      let value = operands.integer()
      func bytes(_ count: Int) -> [UInt8] { OpcodeForm.bytes(value, count) }
      let word = wordSize
      switch (form.map, form.opcode) {
      case (.primary, 0x00...0x3f):
        return form.opcode & 7 == 4 ? bytes(1) : form.opcode & 7 == 5 ? bytes(min(word, 4)) : []
      case (.primary, 0x68), (.primary, 0x69), (.primary, 0x81), (.primary, 0xa9), (.primary, 0xc7):
        return bytes(min(word, 4))
      case (.primary, 0x6a), (.primary, 0x6b), (.primary, 0x80), (.primary, 0x83), (.primary, 0xa8), (.primary, 0xc6),
        (.primary, 0xb0...0xb7), (.primary, 0xe4...0xe7), (.primary, 0x70...0x7f), (.primary, 0xe0...0xe3),
        (.primary, 0xeb):
        return bytes(1)
      case (.primary, 0xa0...0xa3):
        let target = dataAddress(aligned: false)
        self.target = target
        return OpcodeForm.bytes(target, 8)
      case (.primary, 0xb8...0xbf): return bytes(word)
      case (.primary, 0xc0), (.primary, 0xc1), (.secondary, 0xa4), (.secondary, 0xac):
        count = random.next() & 0xff
        return [UInt8(count)]
      case (.primary, 0xc2): return OpcodeForm.bytes(random.below(256), 2)
      case (.primary, 0xc8): return OpcodeForm.bytes(random.below(random.once(in: 8) ? 0x1_0000 : 256), 2) + bytes(1)
      case (.primary, 0xcd):
        // Not the gates that Linux opens to programs.
        var vector = UInt8(truncatingIfNeeded: random.next())
        while [3, 4, 0x80].contains(vector) { vector &+= 0x21 }
        return [vector]
      case (.primary, 0xe8), (.primary, 0xe9), (.secondary, 0x80...0x8f):
        // AMD's processors take 66 to mean 16 bits.
        let distance = UInt64(bitPattern: Int64(random.below(0x0e00_0000)) - 0x0700_0000)
        return OpcodeForm.bytes(distance, form.prefix == 0x66 && HostVendor.isAMD ? 2 : 4)
      case (.primary, 0xf6): return form.digit ?? 0 < 2 ? bytes(1) : []
      case (.primary, 0xf7): return form.digit ?? 0 < 2 ? bytes(min(word, 4)) : []
      case (.secondary, 0x70...0x73), (.secondary, 0xba), (.secondary, 0xc2), (.secondary, 0xc4), (.secondary, 0xc5),
        (.secondary, 0xc6):
        return [UInt8(truncatingIfNeeded: random.next())]
      case (.map3A, _), (.vex3A, _), (.vexSecondary, 0x70...0x73), (.vexSecondary, 0xc2), (.vexSecondary, 0xc4...0xc6):
        return [UInt8(truncatingIfNeeded: random.next())]
      default: return []
      }
    }

    // MARK: Memory and special values

    /// Lists bytes where the instruction may read.
    private mutating func fillMemory() {
      if let target {
        if form.unit == .x87 {
          listX87(target)
        } else {
          list(target, form.isLong ? 32 : form.usesVectors || form.opcode == 0xc7 ? 16 : 8)
        }
      }
      switch (form.map, form.opcode) {
      case (.primary, 0xa4...0xa7), (.primary, 0xac...0xaf):
        for slot in [Slot.rsi, Slot.rdi] {
          let address = state.general[Int(slot)]
          let isDown = state.rflags & Flag.direction != 0
          let span = UInt64(wordSize) * min(state.general[Int(Slot.rcx)], 4)
          // Few different bytes, so that comparisons go on for a while.
          for offset in 0..<span + 8 { put(address &+ offset &- (isDown ? span : 0), UInt8(random.next() & 1)) }
        }
      case (.primary, 0x58...0x5f), (.primary, 0x8f), (.primary, 0x9d), (.primary, 0xc2), (.primary, 0xc3):
        list(state.general[Int(Slot.rsp)], 8)
      case (.primary, 0xc8):
        for offset in 0..<32 as Range<UInt64> { put(state.general[Int(Slot.rbp)] - offset, UInt8(offset)) }
      case (.primary, 0xc9): list(state.general[Int(Slot.rbp)], 8)
      case (.primary, 0xd7): list(state.general[Int(Slot.rbx)] &+ state.general[Int(Slot.rax)] & 0xff, 1)
      default: break
      }
    }

    private mutating func list(_ address: UInt64, _ count: Int) {
      for start in stride(from: 0, to: UInt64(count), by: 16) {
        let value = form.usesVectors ? operands.vector() : Vector128(operands.integer(), operands.integer())
        list(value, address &+ start, min(count - Int(start), 16))
      }
    }

    mutating func list(_ value: Vector128, _ address: UInt64, _ count: Int) {
      for offset in 0..<UInt64(count) {
        let word = offset < 8 ? value.x : value.y
        put(address &+ offset, UInt8(truncatingIfNeeded: word >> (8 * (offset & 7))))
      }
    }

    private mutating func put(_ address: UInt64, _ value: UInt8) {
      guard ProgramMemory.ranges.contains(where: { $0.contains(address) }) else { return }
      memory.removeAll { $0.address == address }
      memory.append(ListedByte(address, value))
    }

    private mutating func putWord(_ address: UInt64, _ value: UInt64) {
      for offset in 0..<8 as Range<UInt64> {
        put(address &+ offset, UInt8(truncatingIfNeeded: value >> (8 * offset)))
      }
    }

    /// Values without which an instruction would almost always do the same.
    private mutating func setSpecialValues() {
      switch (form.map, form.opcode) {
      case (.primary, 0xf6), (.primary, 0xf7):
        // Quotients that fit.
        guard form.digit ?? 0 >= 6, !random.once(in: 4) else { break }
        setUnlessAddress(Slot.rdx, random.once(in: 2) ? 0 : random.below(16))
        if width == 1 { setUnlessAddress(Slot.rax, random.next() & 0xff) }
      case (.primary, 0x9d):
        // Neither single steps nor alignment checks.
        putWord(state.general[Int(Slot.rsp)], random.next() & ~(Flag.trap | Flag.alignmentCheck))
      case (.primary, 0xc3), (.primary, 0xc2):
        if !random.once(in: 6) { putWord(state.general[Int(Slot.rsp)], branchTarget()) }
      case (.primary, 0xff) where steps && !random.once(in: 6):
        if let target {
          putWord(target, branchTarget())
        } else {
          setUnlessAddress(rm, branchTarget())
        }
      case (.primary, 0xd2), (.primary, 0xd3), (.secondary, 0xa5), (.secondary, 0xad):
        count = state.general[Int(Slot.rcx)] & 0xff
      case (.secondary, 0xae) where form.unit == .vector, (.vexSecondary, 0xae):
        // Bits that MXCSR has on Intel's and on AMD's processors alike.
        if let target { putWord(target, random.next() & (random.once(in: 8) ? ~(1 << 17) : 0xffff)) }
      case (.secondary, 0xa3), (.secondary, 0xab), (.secondary, 0xb3), (.secondary, 0xbb):
        if form.operand == .memory { setUnlessAddress(reg, random.below(1024) &- 512) }
      case (.secondary, 0xb0), (.secondary, 0xb1), (.secondary, 0xc7):
        guard random.once(in: 2), let target else { break }
        putWord(target, state.general[Int(Slot.rax)])
        if form.opcode == 0xc7 && form.isWide { putWord(target &+ 8, state.general[Int(Slot.rdx)]) }
        if form.opcode == 0xc7 && !form.isWide {
          let both = state.general[Int(Slot.rax)] & 0xffff_ffff | state.general[Int(Slot.rdx)] << 32
          putWord(target, both)
        }
      case (.map3A, 0x60...0x61), (.vex3A, 0x60...0x61):
        if !random.once(in: 4) {
          setUnlessAddress(Slot.rax, random.below(24) &- 4)
          setUnlessAddress(Slot.rdx, random.below(24) &- 4)
        }
      default: break
      }
    }

    private mutating func branchTarget() -> UInt64 {
      switch random.below(6) {
      case 0: ProgramMemory.nowhere + random.below(0x1000_0000)
      case 1: 0x0000_8000_0000_0000 + random.below(1 << 62)
      case 2: random.below(1 << 47)
      default: ProgramMemory.code + random.below(0x1_0000)
      }
    }

    /// Sets a register that no address is made of.
    mutating func setUnlessAddress(_ slot: UInt8, _ value: UInt64) {
      guard target == nil || addressRegisters & 1 << UInt16(slot) == 0 else { return }
      state.general[Int(slot)] = value
    }

    /// The vector of indices of a gather, and whether they have 32 bits.
    var gather: (index: UInt8, narrow: Bool)?

    /// Registers of the memory operand.
    var addressRegisters: UInt16 = 0

    private mutating func setBytes(_ value: UInt64, at offset: Int, count: Int) {
      for (index, byte) in OpcodeForm.bytes(value, count).enumerated() { bytes[offset + index] = byte }
    }
  }

  extension OpcodeForm {
    static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }
  }
#endif
