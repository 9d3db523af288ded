import Decoding
import Emulator
import Machine

/// A processor that executes vectors at ring 3, with an MXCSR of 0x1f80 and the pages of `ProgramSpace`: in 64-bit mode
/// with flat segments, or with those of `ProgramSegments` that the vector names. What faults is delivered to a handler in pages of the supervisor.
///
/// One processor does them all. It has no TLBs and no caches, so that nothing outlives a vector: the answer depends on
/// vendor and features of the profile alone.
public final class VectorMachine {
  public let vendor: Vendor
  private let memory: HostMemory
  private let processor: Processor
  private let space: ProgramSpace
  private let decoder: CapstoneDecoder
  /// What every vector begins with.
  private let beginning: ProcessorState

  /// Selectors, those of Linux: instructions can read them.
  private enum Selector {
    static let kernelCode: UInt16 = 0x10, kernelData: UInt16 = 0x18
    static let data: UInt16 = 0x2b, code: UInt16 = 0x33, task: UInt16 = 0x40, localTable: UInt16 = 0x50
  }

  private enum Place {
    static let gdt = ProgramSpace.system
    static let task = ProgramSpace.system + 0x1000
    static let handler = ProgramSpace.system + 0x2000
    static let idt = ProgramSpace.system + 0x3000
    /// The top of the stack of ring 0.
    static let stack = ProgramSpace.system + 0x6000
    static let localTable = ProgramSpace.system + 0x7000
  }

  /// - Parameter profile: whose vendor and features the processor has.
  public init(_ profile: CostProfile) throws(SetupError) {
    vendor = profile.vendor
    do {
      memory = try HostMemory(low: ProgramSpace.memorySize)
    } catch {
      throw SetupError(.input, "memory: \(error.description)")
    }
    space = ProgramSpace(memory)
    decoder = CapstoneDecoder(vendor: profile.vendor)
    var bare = profile
    for key in CostKey.allCases where key != .frequency && key != .physicalBits { bare[key] = 0 }
    var options = ProcessorOptions()
    options.blockLength = 1
    let features = FeatureSet(names: profile.features)
    processor = Processor(
      memory: memory, bus: NoDevices(), decoder: decoder, profile: bare, features: features, options: options)
    beginning = VectorMachine.beginning(root: space.root, features)
    writeTables()
  }

  private static func beginning(root: UInt64, _ features: FeatureSet) -> ProcessorState {
    var state = ProcessorState()
    state.cr0 =
      CR0.protectionEnable | CR0.extensionType | CR0.numericError | CR0.monitorCoprocessor | CR0.writeProtect
      | CR0.alignmentMask | CR0.paging
    state.cr3 = root
    state.cr4 =
      CR4.physicalAddressExtension | CR4.osFXSR | CR4.osXMMExceptions
      | (features.contains(.fsgsbase) ? CR4.fsgsbase : 0) | (features.contains(.xsave) ? CR4.osXSAVE : 0)
      | (features.contains(.umip) ? CR4.umip : 0)
    // The x87, SSE and, where there is AVX, the upper halves.
    state.xcr0 = !features.contains(.xsave) ? 1 : features.contains(.avx) ? 7 : 3
    state.efer = EFER.longModeEnable | EFER.longModeActive | EFER.noExecute | EFER.systemCall
    state.cpl = 3
    state[.cs] = Segment(selector: Selector.code, base: 0, limit: .max, attributes: 0xa0fb)
    state[.ss] = Segment(selector: Selector.data, base: 0, limit: .max, attributes: 0xc0f3)
    for register in [SegmentRegister.ds, .es, .fs, .gs] {
      state[register] = Segment(selector: 0, base: 0, limit: 0, attributes: 0)
    }
    state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x4f)
    state.idtr = DescriptorTable(base: Place.idt, limit: 0xfff)
    state.ldtr = Segment(
      selector: Selector.localTable, base: Place.localTable, limit: UInt32(ProgramSegments.table.count * 8 - 1),
      attributes: 0x82)
    state.tr = Segment(selector: Selector.task, base: Place.task, limit: 0x67, attributes: 0x8b)
    return state
  }

  private func writeTables() {
    let task = Place.task
    let descriptors: [UInt64] = [
      0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff,
      0x00af_fb00_0000_ffff, 0,
      0x0000_8b00_0000_0067 | (task & 0xff_ffff) << 16 | (task >> 24 & 0xff) << 56, task >> 32,
    ]
    for (index, descriptor) in descriptors.enumerated() { put(descriptor, at: Place.gdt + UInt64(index) * 8) }
    for (index, entry) in ProgramSegments.table.enumerated() {
      put(entry.descriptor.low, at: Place.localTable + UInt64(index) * 8)
    }
    put(Place.stack << 32, at: task)
    put(Place.stack >> 32, at: task + 8)
    // No I/O permission bitmap.
    put(0x0068_0000_0000_0000, at: task + 0x60)
    put(0xf4, at: Place.handler)
    for vector in 0..<256 as Range<UInt64> {
      // Programs may use INT3 and INTO; interrupt gates.
      let attributes: UInt64 = vector == 3 || vector == 4 ? 0xee00 : 0x8e00
      put(
        Place.handler & 0xffff | UInt64(Selector.kernelCode) << 16 | attributes << 32
          | (Place.handler >> 16 & 0xffff) << 48, at: Place.idt + vector * 16)
      put(Place.handler >> 32, at: Place.idt + vector * 16 + 8)
    }
  }

  private func put(_ word: UInt64, at systemAddress: UInt64) {
    memory.setWord(word, at: HostPhysical(ProgramSpace.physical(systemAddress)))
  }

  /// A word that the delivery of an exception has pushed, counted from the top of the stack.
  private func pushed(_ index: UInt64) -> UInt64 {
    memory.word(at: HostPhysical(ProgramSpace.physical(Place.stack) - index * 8))
  }

  // MARK: Running

  /// Executes a vector.
  /// - Returns: the differences from what it expects, none if it passes.
  public func run(_ vector: borrowing InstructionVector) -> [VectorDifference] {
    var state = beginning
    let registers = vector.initial.registers
    let rip = registers[.rip] ?? 0
    for slot in 0..<16 as Range<UInt8> { state.slots[Int(slot)] = registers[.general(slot)] ?? 0 }
    state.rip = rip
    state.rflags = registers[.rflags] ?? Flag.one
    VectorMachine.setVectors(&state.vector, registers)
    if registers[.cs] != nil {
      for (name, segment) in ProgramSegments.registers {
        state[segment] = ProgramSegments.segment(registers[name])
      }
    }
    let start = state.codeSize == .bits64 ? rip : (rip &+ state[.cs].base) & 0xffff_ffff

    for (index, byte) in vector.bytes.enumerated() {
      let address = start &+ UInt64(index)
      if ProgramSpace.canHold(address) { space.setInitial(address, byte) }
    }
    for byte in vector.initial.memory { space.setInitial(byte.address, byte.value) }
    if vector.comparesState {
      for byte in vector.final.memory { space.setExpected(byte.address, byte.value) }
    }

    let exceptions = processor.counters.exceptions
    processor.state = state
    processor.refresh()
    let result = processor.run(retiredLimit: 1)
    let hasRaised = processor.counters.exceptions != exceptions
    var differences = compare(vector, result, raised: hasRaised ? processor.recentlyDelivered.last?.event : nil)
    forgetCode(start, vector.bytes.count)
    // Of the memory more differences than a few tell nothing.
    let bytes = space.compareAndClear(16)
    if vector.comparesState { differences += bytes.map(VectorDifference.init) }
    return differences
  }

  /// What a vector does not say of the vector unit and the x87 is as they are after power-up.
  private static func setVectors(_ state: inout VectorState, _ registers: PartialRegisters) {
    for number in 0..<16 {
      state.xmm[number] = registers[xmm: number] ?? Vector128()
      state.upper[number] = registers[upper: number] ?? Vector128()
    }
    func word<Word: FixedWidthInteger>(_ register: VectorRegister) -> Word? {
      registers[register].map { Word(truncatingIfNeeded: $0) }
    }
    state.mxcsr = word(.mxcsr) ?? MXCSR.initial
    guard registers.speaksOfX87 else { return }
    state.x87.control = word(.control) ?? X87State().control
    state.x87.statusWord = word(.status) ?? 0
    state.x87.tags = word(.tags) ?? 0
    state.x87.opcode = word(.opcode) ?? 0
    state.x87.instructionPointer = word(.instruction) ?? 0
    state.x87.dataPointer = word(.operand) ?? 0
    for number in 0..<8 { state.x87.registers[number] = registers[real: number] ?? ExtendedReal() }
  }

  /// What was decoded is no longer there for the next vector.
  private func forgetCode(_ start: UInt64, _ count: Int) {
    for address in [start, start &+ UInt64(max(count, 1) - 1)] where ProgramSpace.canHold(address) {
      processor.hostMemoryChanged(at: space.place(of: address), count: 1)
    }
  }

  private func compare(_ vector: borrowing InstructionVector, _ result: RunResult, raised: Event?)
    -> [VectorDifference]
  {
    var differences: [VectorDifference] = []
    if case .unsupported(let what) = result {
      return [VectorDifference("instruction", "execution", what)]
    }
    var found = processor.state
    var mask = vector.flagsMask
    if let raised {
      let hasError: UInt64
      var text: String
      if case .exception(let exception) = raised {
        hasError = exception.hasErrorCode ? 1 : 0
        text = exception.description
      } else {
        hasError = 0
        text = GuestException(vector: raised.vector).description
      }
      guard let expected = vector.exception else {
        return [VectorDifference("exception", "none", text)]
      }
      let error = UInt32(truncatingIfNeeded: hasError == 1 ? pushed(6) : 0)
      if expected.vector != raised.vector || expected.error ?? error != error {
        let wanted = GuestException(vector: expected.vector, errorCode: expected.error)
        text = GuestException(vector: raised.vector, errorCode: hasError == 1 ? error : nil).description
        differences.append(VectorDifference("exception", wanted.shortDescription, text.withoutAddress))
      }
      // What the handler's frame says of the program.
      found.rip = pushed(5)
      found.rflags = pushed(3)
      found.slots[Int(Slot.rsp)] = pushed(2)
      found[.cs].selector = UInt16(truncatingIfNeeded: pushed(4))
      found[.ss].selector = UInt16(truncatingIfNeeded: pushed(1))
      // Faults push RF set, and whoever reads it from a frame may see it.
      mask &= ~Flag.resume
    } else if let expected = vector.exception {
      let wanted = GuestException(vector: expected.vector, errorCode: expected.error)
      return [VectorDifference("exception", wanted.shortDescription, "none")]
    }
    guard vector.comparesState else { return differences }

    let (bytes, registers, name) = (vector.bytes, vector.initial.registers, vector.name)
    let comparison = VectorComparison(vector, found: found, flags: mask) {
      self.mnemonic(of: bytes, registers, name: name)
    }
    return differences + comparison.differences
  }

  /// The mnemonic of a vector's instruction, by which failures are counted.
  public func mnemonic(of vector: borrowing InstructionVector) -> String {
    mnemonic(of: vector.bytes, vector.initial.registers, name: vector.name)
  }

  private func mnemonic(of bytes: [UInt8], _ registers: PartialRegisters, name: String) -> String {
    let size: CodeSize =
      registers[.cs].map { ProgramSegments.segment($0).isBig ? .bits32 : .bits16 } ?? .bits64
    let text = decoder.disassemble(bytes, count: bytes.count, rip: registers[.rip] ?? 0, size: size)
    let words = (text ?? name).split(separator: " ").prefix { !$0.isEmpty }
    let prefixes = ["lock", "rep", "repe", "repne", "repz", "repnz", "data16", "xacquire", "xrelease"]
    let mnemonic = words.first { !prefixes.contains(String($0)) }
    return mnemonic.map { printable(String($0), limit: 24) } ?? "(unknown)"
  }
}

extension GuestException {
  fileprivate var shortDescription: String { description.withoutAddress }
}

extension String {
  /// Of `#PF(0x6) at 0x1000` the first word.
  fileprivate var withoutAddress: String { String(prefix { $0 != " " }) }
}

/// A bus without anything on it.
private final class NoDevices: DeviceBus {
  func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32 { .max }
  func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64) {}
  func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64 { .max }
  func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64) {}
  func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64? { nil }
  func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool { false }
  func taskPriority(processor: Int) -> UInt8 { 0 }
  func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64) {}
  func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64) {}
  var nextDeadline: UInt64 { .max }
  func advance(to now: UInt64) {}
  func signals(processor: Int) -> ProcessorSignals { [] }
  func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8 { 0 }
  func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8 { 0 }
  var shutdown: Shutdown? { nil }
}
