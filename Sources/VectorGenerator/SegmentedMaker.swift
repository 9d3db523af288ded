#if os(Linux) && arch(x86_64)
  import Decoding
  import Machine
  import Vectors

  /// Makes instructions of 16- and 32-bit code: some prefixes, the opcode, and random bytes behind it, with registers
  /// that mostly point to memory, and now and then beyond the end of a segment.
  struct SegmentedMaker: MadeInstruction {
    let form: SegmentedForm
    private var operands: OperandMaker
    private(set) var bytes: [UInt8] = []
    private(set) var state = HostExecutor.State()
    private(set) var memory: [ListedByte] = []
    private(set) var steps = false
    private(set) var width = 1
    private(set) var count: UInt64 = 1
    private var hasOperandPrefix = false
    private var hasAddressPrefix = false
    private var segmentOverride: UInt16?

    var size: CodeSize { form.layout.size }
    var description: String { form.description }
    var usesVectors: Bool { false }
    var usesX87: Bool { false }
    var mayFaultAtWill: Bool { false }
    private var random: SeededRandom {
      get { operands.random }
      set { operands.random = newValue }
    }

    /// SHLD and SHRD of 16 bits by more than 16 (SDM vol. 2).
    func isOpen(_ mnemonic: String) -> Bool {
      ["shld", "shrd"].contains(mnemonic) && width == 2 && count & 0x1f > 16
    }

    init(_ form: SegmentedForm, random: SeededRandom, decoder: CapstoneDecoder) {
      self.form = form
      operands = OperandMaker(random: random)
      chooseRegisters()
      let code = chooseSegments()
      encode()
      let length = Self.length(bytes, size, decoder)
      if let length { bytes.removeSubrange(length...) }
      steps = form.branches || length == nil
      placeCode(code, form.branches || !form.isBlindToTraps)
      measure()
      fillMemory()
    }

    private static func length(_ bytes: [UInt8], _ size: CodeSize, _ decoder: CapstoneDecoder) -> Int? {
      withUnsafeTemporaryAllocation(of: Operation.self, capacity: CapstoneDecoder.maximumOperations) { output in
        guard let start = output.baseAddress else { return nil }
        switch decoder.decode(bytes, count: bytes.count, rip: 0, size: size, into: start) {
        case .decoded(let length, _): return length
        default: return nil
        }
      }
    }

    // MARK: Registers and segments

    /// The linear addresses that offsets in flat segments have, and 0.
    private var dataStart: UInt64 { form.layout == .flat ? ProgramMemory.data : 0 }
    private var stackStart: UInt64 { form.layout == .flat ? ProgramMemory.stack : 0 }

    private mutating func chooseRegisters() {
      for slot in 0..<8 { state.general[slot] = operands.integer() & 0xffff_ffff }
      // Of 16-bit addresses the upper half does not count.
      let upper = form.layout == .narrow && random.once(in: 2) ? random.next() & 0xffff_0000 : dataStart
      for slot in [Slot.rbx, Slot.rbp] { state.general[Int(slot)] = upper + 0xf00 + random.below(0x40) }
      for slot in [Slot.rsi, Slot.rdi] { state.general[Int(slot)] = upper + 0x1040 + random.below(0x40) }
      if form.layout == .flat && random.once(in: 2) { state.general[Int(Slot.rbp)] = stackStart + 0xf00 }
      for slot in [Slot.rax, Slot.rcx, Slot.rdx] where random.once(in: 3) {
        state.general[Int(slot)] = dataStart + 0x1000 + random.below(0x1000)
      }
      if random.once(in: 16) { state.general[Int(Slot.rbx)] = operands.integer() & 0xffff_ffff }
      if form.isString || random.once(in: 2) { state.general[Int(Slot.rcx)] = random.below(12) }
      var pointer = 0x800 + random.below(0x400) * 4
      switch random.below(12) {
      case 0: pointer = random.below(8)
      case 1: pointer = 0x1ff8 + random.below(16)
      case 2: pointer += random.below(4)
      default: break
      }
      state.general[Int(Slot.rsp)] = stackStart + pointer
      if form.layout == .narrow { state.general[Int(Slot.rsp)] = HostExecutor.upperStackPointer | pointer }
      if form.takesSelectors {
        for slot in [Slot.rax, Slot.rdx] {
          state.general[Int(slot)] = state.general[Int(slot)] & 0xffff_0000 | UInt64(selector())
        }
      }
      state.rflags =
        Flag.one | Flag.interrupt | random.next() & Flag.arithmetic | (random.once(in: 4) ? Flag.direction : 0)
        | (random.once(in: 8) ? Flag.alignmentCheck : 0)
    }

    /// A selector, mostly one of the table.
    private mutating func selector() -> UInt16 {
      if random.once(in: 16) { return 0 }
      let index = Int(random.below(UInt64(ProgramSegments.table.count) + 1))
      return ProgramSegments.selector(index) & ~3 | (random.once(in: 4) ? UInt16(random.below(4)) : 3)
    }

    /// - Returns: the offset of the instruction, if all of it fits.
    private mutating func chooseSegments() -> UInt64 {
      func choose(_ indices: [Int], _ random: inout SeededRandom) -> UInt16 {
        ProgramSegments.selector(indices[Int(random.below(UInt64(indices.count)))])
      }
      let isShort = random.once(in: 2)
      let offset = isShort ? 0x8f40 + random.below(0xa0) : 0x400 + random.below(0xe000)
      switch form.layout {
      case .flat:
        state.selectors = HostExecutor.Selectors(
          cs: ProgramSegments.selector(0), ss: ProgramSegments.selector(1), ds: ProgramSegments.selector(1),
          es: ProgramSegments.selector(1))
        return ProgramMemory.code + offset
      case .limited:
        state.selectors = HostExecutor.Selectors(
          cs: ProgramSegments.selector(isShort ? 7 : 6), ss: ProgramSegments.selector(9),
          ds: choose([8, 8, 8, 11, 12], &random), es: choose([4, 8, 10, 11], &random))
      case .narrow:
        state.selectors = HostExecutor.Selectors(
          cs: ProgramSegments.selector(isShort ? 3 : 2), ss: ProgramSegments.selector(5),
          ds: choose([4, 4, 4, 10, 12], &random), es: choose([4, 8, 10], &random))
      }
      return offset
    }

    // MARK: Bytes

    private mutating func encode() {
      let prefixes: [UInt8] = [0x66, 0x66, 0x66, 0x67, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0xf2, 0xf3, 0xf0]
      for _ in 0..<random.below(3) {
        let prefix = prefixes[Int(random.below(UInt64(prefixes.count)))]
        // On AMD's processors LOCK MOV CR0 is one to CR8, and LOCK before VERW is ignored.
        if prefix == 0xf0 && form.isSecondary && [0x00, 0x20, 0x22].contains(form.opcode) { continue }
        bytes.append(prefix)
        switch prefix {
        case 0x66: hasOperandPrefix = true
        case 0x67: hasAddressPrefix = true
        case 0x26, 0x2e, 0x36, 0x3e:
          let selectors = state.selectors
          segmentOverride = [selectors?.es, selectors?.cs, selectors?.ss, selectors?.ds][Int(prefix >> 3) & 3]
        default: break
        }
      }
      if form.isSecondary { bytes.append(0x0f) }
      bytes.append(form.opcode)
      switch (form.isSecondary, form.opcode) {
      case (false, 0x9a), (false, 0xea):
        let isWide = (size == .bits32) != hasOperandPrefix
        appendNumber(ProgramMemory.code + random.below(0xf000), isWide && form.layout == .flat ? 4 : 2)
        if isWide && form.layout != .flat { bytes += [0, 0] }
        appendNumber(UInt64(selector()), 2)
        return
      case (false, 0xa0...0xa3): appendNumber(dataStart + 0x1040 + random.below(0x60), has16BitAddress ? 2 : 4)
      default: break
      }
      appendModRM()
      // An immediate; mostly the shorter ones are small.
      for _ in 0..<4 { bytes.append(UInt8(random.once(in: 4) ? random.below(34) : random.below(256))) }
    }

    private var has16BitAddress: Bool { (size == .bits16) != hasAddressPrefix }

    private mutating func appendNumber(_ value: UInt64, _ count: Int) {
      for index in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * UInt64(index)))) }
    }

    /// The memory operand's offset and whether it is in SS by default, if the instruction has a ModRM byte with one.
    private var operand: (offset: UInt64, isInStack: Bool)?

    /// What is a ModRM byte of many instructions, an immediate of others.
    private mutating func appendModRM() {
      var modRM = UInt8(random.below(256))
      if let digit = form.digit { modRM = modRM & ~0x38 | digit << 3 }
      if !form.has(digit: (modRM >> 3) & 7) { modRM ^= 0x20 }
      if form.wantsMemory && modRM >= 0xc0 { modRM &= 0x7f }
      bytes.append(modRM)
      guard modRM < 0xc0 else { return }
      if has16BitAddress { appendAddress16(modRM) } else { appendAddress32(modRM) }
    }

    private mutating func displacement(_ bytes: Int) -> UInt64 {
      guard bytes > 0 else { return 0 }
      let value = random.below(0x40) &- 0x20
      appendNumber(value, bytes)
      return value
    }

    private mutating func appendAddress16(_ modRM: UInt8) {
      let (mode, rm) = (modRM >> 6, modRM & 7)
      if mode == 0 && rm == 6 {
        let offset = 0x1040 + random.below(0x60)
        appendNumber(offset, 2)
        operand = (offset, false)
        return
      }
      let registers: [[UInt8]] = [
        [Slot.rbx, Slot.rsi], [Slot.rbx, Slot.rdi], [Slot.rbp, Slot.rsi], [Slot.rbp, Slot.rdi], [Slot.rsi],
        [Slot.rdi], [Slot.rbp], [Slot.rbx],
      ]
      let sum = registers[Int(rm)].reduce(displacement(Int(mode))) { $0 &+ state.general[Int($1)] }
      operand = (sum & 0xffff, registers[Int(rm)].contains(Slot.rbp))
    }

    private mutating func appendAddress32(_ modRM: UInt8) {
      let (mode, rm) = (modRM >> 6, modRM & 7)
      var base: UInt8? = rm
      var scaled: UInt64 = 0
      if rm == 4 {
        let sib = UInt8(random.below(256))
        bytes.append(sib)
        base = sib & 7
        let index = (sib >> 3) & 7
        if index != Slot.rsp {
          // In flat segments an index is small.
          if form.layout == .flat && index != base { state.general[Int(index)] = random.below(0x80) }
          scaled = state.general[Int(index)] << UInt64(sib >> 6)
        }
      }
      if mode == 0 && base == 5 {
        let offset = dataStart + 0x1040 + random.below(0x60)
        appendNumber(offset, 4)
        operand = ((offset &+ scaled) & 0xffff_ffff, false)
        return
      }
      let displacement = displacement(mode == 2 ? 4 : Int(mode))
      let start = base.map { state.general[Int($0)] } ?? 0
      operand = ((start &+ scaled &+ displacement) & 0xffff_ffff, base == Slot.rsp || base == Slot.rbp)
    }

    // MARK: Place and memory

    /// Where the segment ends behind the instruction no breakpoint can stand: a trap ends it, where it would come.
    private mutating func placeCode(_ offset: UInt64, _ mayStep: Bool) {
      state.rip = offset
      guard form.layout != .flat else { return }
      let limit = UInt64(ProgramSegments.segment(UInt64(state.selectors?.cs ?? 0)).limit)
      guard offset + UInt64(bytes.count) + 16 > limit else { return }
      if mayStep {
        steps = true
      } else {
        state.rip = limit - 0x40
      }
    }

    /// Of shifts the width and the count.
    private mutating func measure() {
      let isWide = (size == .bits32) != hasOperandPrefix
      let word = isWide ? 4 : 2
      width = form.isSecondary || form.opcode & 1 == 1 ? word : 1
      let last = UInt64(bytes.last ?? 0)
      switch (form.isSecondary, form.opcode) {
      case (false, 0xc0), (false, 0xc1), (true, 0xa4), (true, 0xac): count = last
      case (false, 0xd2), (false, 0xd3), (true, 0xa5), (true, 0xad): count = state.general[Int(Slot.rcx)] & 0xff
      default: break
      }
    }

    private mutating func fillMemory() {
      guard let selectors = state.selectors else { return }
      if let operand {
        list(segmentOverride ?? (operand.isInStack ? selectors.ss : selectors.ds), operand.offset, 16)
      }
      if form.isString {
        let mask: UInt64 = has16BitAddress ? 0xffff : 0xffff_ffff
        list(segmentOverride ?? selectors.ds, state.general[Int(Slot.rsi)] & mask &- 16, 40)
        list(selectors.es, state.general[Int(Slot.rdi)] & mask &- 16, 40)
      }
      let isNarrow = form.layout == .narrow
      list(selectors.ss, state.general[Int(Slot.rsp)] & (isNarrow ? 0xffff : 0xffff_ffff), 24)
      list(selectors.ss, state.general[Int(Slot.rbp)] & (isNarrow ? 0xffff : 0xffff_ffff) &- 8, 16)
    }

    /// Random bytes, of strings few different ones, or words of which many are selectors and offsets.
    private mutating func list(_ selector: UInt16, _ offset: UInt64, _ count: UInt64) {
      let base = ProgramSegments.segment(UInt64(selector)).base
      for word in stride(from: 0, to: count, by: 2) {
        var value = random.next() & 0xffff
        if form.isString { value &= 0x0101 }
        if form.takesSelectors && !random.once(in: 3) {
          value = random.once(in: 2) ? UInt64(self.selector()) : random.once(in: 2) ? 0x1000 + random.below(0x100) : 0
        }
        for byte in 0..<2 as Range<UInt64> {
          let address = (base &+ offset &+ word &+ byte) & 0xffff_ffff
          guard ProgramMemory.ranges.contains(where: { $0.contains(address) }) else { continue }
          guard !memory.contains(where: { $0.address == address }) else { continue }
          memory.append(ListedByte(address, UInt8(truncatingIfNeeded: value >> (8 * byte))))
        }
      }
    }
  }
#endif
