import Decoding
import Devices
import Hypervisor
import Machine

/// A small machine whose code, page tables, registers and control registers are made of arbitrary bytes, and a
/// supervisor that keeps it going: whenever a run ends, another part of the code is entered. What the bytes make the
/// guest do is of no interest; that the emulator neither traps nor hangs is, and that the same bytes give the same
/// machine however the code is cut into blocks, and the same guest however its memory is virtualised.
///
/// The test suite makes the bytes from seeds, the fuzzer (Tests/Fuzz) from what it learns.
struct RandomGuest {
  /// The code that the guest starts in.
  enum Mode: UInt8, CaseIterable {
    case bits64, compatibility, bits32, real, virtual8086

    var isLong: Bool { self == .bits64 || self == .compatibility }
  }

  /// How the guest's memory is virtualised.
  enum Kind: String, CaseIterable {
    case native, nested, trace, unsync, vtlb

    /// The kind of the hypervisor's; nil for none.
    var hypervisor: HypervisorOptions.Kind? {
      switch self {
      case .native: nil
      case .nested: .nested
      case .trace: .shadow(.trace)
      case .unsync: .shadow(.unsync)
      case .vtlb: .shadow(.vtlb)
      }
    }
  }

  var mode: Mode
  /// Whether pointers and ports of devices are among the registers' values.
  var touchesDevices: Bool
  /// How its memory is paged: with five levels instead of four in long mode, not at all or in one of two ways in 32-bit
  /// code.
  var paging: PagingMode
  /// Whether the leaf entries of the page tables are as arbitrary as the code.
  var wildTables: Bool
  var bytes: Bytes
  let code: [UInt8]

  /// Where things are in the two megabytes of memory.
  enum Place {
    static let memory: UInt64 = 2 << 20
    static let tables: UInt64 = 0x1000
    /// Above those: the table of five levels, the PDPTEs of PAE paging.
    static let fifthTable: UInt64 = 0x5000
    static let directoryPointers: UInt64 = 0x5800
    /// Page directory and table of 32-bit paging.
    static let narrowDirectory: UInt64 = 0x6000
    static let narrowTable: UInt64 = 0x7000
    static let idt: UInt64 = 0x8000
    static let gdt: UInt64 = 0x9000
    static let task: UInt64 = 0xa000
    /// The offset in the code at which the next exception goes on.
    static let cursor: UInt64 = 0xa800
    static let handler: UInt64 = 0xb000
    static let code: UInt64 = 0x1_0000
    static let codeSize = 0x4000
    static let data: UInt64 = 0x2_0000
    static let stack: UInt64 = 0x3_8000
  }

  init(_ input: [UInt8]) {
    bytes = Bytes(input)
    let choice = bytes.next()
    // Of the fourth kind half is real mode, a quarter virtual-8086 mode.
    mode = Mode(rawValue: choice & 3) ?? .bits64
    if choice & 3 == 3 && choice & 0x20 == 0 { mode = choice & 0x40 == 0 ? .bits64 : .virtual8086 }
    wildTables = choice & 4 != 0
    touchesDevices = choice & 0x80 != 0
    let ways: [PagingMode] =
      switch mode {
      case .real: [.off]
      case .bits32, .virtual8086: [.off, .narrow, .pae, .narrow]
      case .bits64, .compatibility: [.levels4, .levels5]
      }
    paging = ways[Int(choice >> 3) % ways.count]
    // The input over and over: a fuzzer's inputs are short.
    let rest = input.isEmpty ? [0x90] : input
    code = (0..<Place.codeSize).map { rest[$0 % rest.count] }
  }

  /// Somebody who looks at a guest from a moment on: in one of its starts, after so many instructions.
  struct Witness {
    var start: Int
    var instructions: UInt64
    /// Called at that moment, and when the run is over.
    var begin: (Processor) -> Void
    var end: (Processor) -> Void = { _ in }
  }

  /// What must not be, whatever the guest does.
  struct Broken: Error, CustomStringConvertible { let description: String }

  /// Runs the guest.
  ///
  /// - Parameters:
  ///   - instructions: how many it may execute in all.
  ///   - blockLength: the greatest number of instructions in a block.
  ///   - kind: how its memory is virtualised.
  ///   - comparable: whether time is counted in instructions and TLBs are coherent, so that runs under other kinds can
  ///     be compared.
  ///   - most: how often it is started at most.
  ///   - witness: somebody who looks at it.
  func run(
    instructions: UInt64, blockLength: Int = 64, kind: Kind = .native, comparable: Bool = false, starts most: Int = 100,
    witness: Witness? = nil
  ) throws -> Outcome {
    var bytes = bytes
    let memory = try HostMemory(low: kind == .native ? Place.memory : 3 * Place.memory)
    let devices = PCDevices(clockHertz: 1_000_000, memoryBytes: Place.memory, console: BufferConsole())
    let powerOn = devices.state
    var options = ProcessorOptions()
    options.blockLength = blockLength
    options.coherentTLB = bytes.next() & 3 == 0
    options.dataCache = DataCacheModel.allCases[Int(bytes.next()) % DataCacheModel.allCases.count]
    if comparable {
      options.coherentTLB = true
      options.clock = .instructions
    }
    let processor = Processor(
      memory: memory, bus: devices, decoder: CapstoneDecoder(), profile: try Self.profile,
      features: FeatureSet(rawValue: .max), options: options)
    var hypervisor: Hypervisor?
    if let chosen = kind.hypervisor {
      hypervisor = try Hypervisor(
        processor: processor, memory: memory, bus: devices, profile: try Self.profile,
        options: HypervisorOptions(
          kind: chosen, vendor: .intel, ramRanges: [0..<Place.memory]))
    }
    let loaded = load(&bytes) { values, address in
      hypervisor?.writeGuest(values, at: GuestPhysical(address))
        ?? memory.write(values, at: HostPhysical(address))
    }
    guard loaded else { throw Broken(description: "the guest does not fit its memory") }

    var outcome = Outcome()
    var starts = 0
    while processor.instructionsRetired < instructions && starts < most {
      start(processor, &bytes)
      hypervisor?.reset(0)
      // Some runs are short, so that limits fall everywhere.
      let patience = starts % 3 == 0 ? UInt64(bytes.next()) : 2_000
      let clockLimit = comparable ? .max : processor.clock + 10_000
      let retiredLimit = min(instructions, processor.instructionsRetired + patience + 1)
      func run(to retiredLimit: UInt64) -> RunResult {
        hypervisor?.run(clockLimit: clockLimit, retiredLimit: retiredLimit)
          ?? processor.run(clockLimit: clockLimit, retiredLimit: retiredLimit)
      }
      if let witness, witness.start == starts {
        if witness.instructions > processor.instructionsRetired { _ = run(to: witness.instructions) }
        witness.begin(processor)
      }
      let result = run(to: retiredLimit)
      outcome.ends.append("\(result) at \(processor.state.rip)")
      outcome.isCut = outcome.isCut || result == .limit && hypervisor?.isInBetween(0) ?? false
      outcome.violations += hypervisor?.checkInvariants() ?? []
      if case .shutdown = result { devices.state = powerOn }
      starts += 1
    }
    witness?.end(processor)
    let state = processor.state
    outcome.registers = (0..<16).map { state.slots[$0] }
    outcome.registers += [state.rip, state.rflags, UInt64(state.cpl)]
    outcome.registers += [state.cr0, state.cr2, state.cr3, state.cr4, state.efer]
    outcome.retired = state.retired
    outcome.ledger = Cause.all.map { processor.ledger[$0] }
    outcome.memory = Self.words(memory) { frame in
      guard let hypervisor else { return frame }
      return hypervisor.hostAddress(of: GuestPhysical(frame << 12)).map { $0.rawValue >> 12 }
    }
    guard outcome.violations.isEmpty else { throw Broken(description: outcome.violations[0]) }
    guard processor.ledger.total == processor.clock else {
      throw Broken(description: "the causes add up to \(processor.ledger.total) cycles, not \(processor.clock)")
    }
    return outcome
  }

  // MARK: Registers

  /// Pages of device registers: local APIC, I/O APIC, test device, where the HPET would be.
  static let deviceRegisters: [UInt64] = [0xfee0_0000, 0xfec0_0000, 0xff00_0000, 0xfed0_0000]
  private static let devicePorts: [UInt64] = [
    0x20, 0x21, 0x40, 0x43, 0x60, 0x61, 0x64, 0x70, 0x71, 0x80, 0xa0, 0xa1, 0xe0, 0xe4, 0xe9, 0x3d4, 0x3d5, 0x3f8,
    0x3f9, 0x3fb, 0x3fd, 0x4d0, 0x510, 0x511, 0x604, 0x608, 0xcf8, 0xcf9, 0xcfc, 0x2000, 0x200b, 0x8900,
  ]

  private func touchDevices(_ state: inout ProcessorState, _ bytes: inout Bytes) {
    let window = Place.memory - UInt64(Self.deviceRegisters.count) << 12
    for slot in [Slot.rbx, Slot.rsi, Slot.rdi] where bytes.next() & 1 == 0 {
      let page = Int(bytes.next()) % Self.deviceRegisters.count
      let base = paging != .off ? window + UInt64(page) << 12 : Self.deviceRegisters[page]
      state.slots[Int(slot)] = base + UInt64(bytes.next()) << 4
    }
    state.slots[Int(Slot.rdx)] = Self.devicePorts[Int(bytes.next()) % Self.devicePorts.count]
  }

  private func start(_ processor: Processor, _ bytes: inout Bytes) {
    let running = processor.state
    var state = ProcessorState()
    state.executed = running.executed
    state.charged = running.charged
    state.retired = running.retired
    state.accesses = running.accesses
    let choice = bytes.next()
    for slot in 0..<16 {
      state.slots[slot] = choice & 1 == 0 ? Place.data + UInt64(bytes.next()) << 6 : bytes.word()
    }
    if touchesDevices { touchDevices(&state, &bytes) }
    state.slots[Int(Slot.rsp)] = Place.stack - 0x80
    let offset = (UInt64(bytes.next()) << 6 | UInt64(bytes.next())) & UInt64(Place.codeSize - 1)
    state.rip = Place.code + offset
    state.rflags =
      bytes.word() & (Flag.arithmetic | Flag.direction | Flag.interrupt | Flag.ioPrivilege | Flag.alignmentCheck)
    if choice & 0x1c == 0 { state.rflags |= Flag.trap }

    if mode == .real {
      // Some segments reach all of memory, as they do after a visit to protected mode.
      let limit: UInt32 = choice & 2 == 0 ? 0xffff : .max
      for register in SegmentRegister.allCases {
        let base = register == .cs ? Place.code : register == .ss ? Place.stack & ~0xffff : Place.data
        state[register] = Segment(
          selector: UInt16(base >> 4), base: base, limit: register == .cs ? 0xffff : limit,
          attributes: register == .cs ? 0x9b : 0x93)
      }
      state.rip = offset
      state.slots[Int(Slot.rsp)] = 0x7f80
      state.idtr = DescriptorTable(base: Place.idt, limit: 0x3ff)
      state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x4f)
      state.cr0 = CR0.extensionType
      processor.state = state
      processor.flushAll()
      processor.refresh()
      return
    }
    let isUser = choice & 2 != 0 || mode == .virtual8086
    let data = Segment(selector: isUser ? 0x2b : 0x10, base: 0, limit: .max, attributes: isUser ? 0xc0f3 : 0xc093)
    for register in SegmentRegister.allCases { state[register] = data }
    state[.cs] =
      switch (mode, isUser) {
      case (.bits64, false): Segment(selector: 0x08, base: 0, limit: .max, attributes: 0xa09b)
      case (.bits64, true): Segment(selector: 0x33, base: 0, limit: .max, attributes: 0xa0fb)
      case (_, false): Segment(selector: 0x18, base: 0, limit: .max, attributes: 0xc09b)
      case (_, true): Segment(selector: 0x3b, base: 0, limit: .max, attributes: 0xc0fb)
      }
    state.cpl = isUser ? 3 : 0
    if mode == .virtual8086 { enterVirtual8086(&state, offset) }
    state.tr = Segment(selector: 0x40, base: Place.task, limit: 0x67, attributes: 0x8b)
    state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x4f)
    state.idtr = DescriptorTable(base: Place.idt, limit: 0xfff)

    state.cr0 = CR0.protectionEnable | CR0.extensionType
    if choice & 0x20 != 0 { state.cr0 |= CR0.writeProtect | CR0.alignmentMask }
    if paging != .off {
      state.cr0 |= CR0.paging
      state.cr4 = choice & 0x40 != 0 ? CR4.pageGlobal | CR4.smep : 0
      if choice & 0x80 != 0 { state.efer |= EFER.noExecute }
    }
    switch paging {
    case .off: break
    case .narrow:
      state.cr3 = Place.narrowDirectory
      state.cr4 |= CR4.pageSizeExtensions
    case .pae:
      state.cr3 = Place.directoryPointers
      state.cr4 |= CR4.physicalAddressExtension
      state.directoryPointers = DirectoryPointers(Place.tables + 0x2001)
    case .levels4, .levels5:
      state.cr3 = paging == .levels5 ? Place.fifthTable : Place.tables
      state.cr4 |= CR4.physicalAddressExtension | (paging == .levels5 ? CR4.la57 : 0)
      state.efer |= EFER.longModeEnable | EFER.longModeActive | EFER.systemCall
    }
    processor.state = state
    // As after a reset nothing is cached.
    processor.flushAll()
    processor.refresh()
  }

  /// A task of a protected-mode kernel, with the segments of real mode (SDM vol. 3, 21.2); exceptions lead out of it.
  private func enterVirtual8086(_ state: inout ProcessorState, _ offset: UInt64) {
    state.rflags |= Flag.virtual8086
    for register in SegmentRegister.allCases {
      let base = register == .cs ? Place.code : register == .ss ? Place.stack & ~0xffff : Place.data
      state[register] = Segment(selector: UInt16(base >> 4), base: base, limit: 0xffff, attributes: 0xf3)
    }
    state.rip = offset
    state.slots[Int(Slot.rsp)] = 0x7f80
  }

  // MARK: Helpers

  /// Caches so small that everything is evicted soon, and costs that differ from one another.
  private static var profile: CostProfile {
    get throws {
      var figures: [CostKey: Figure] = [:]
      for (number, key) in CostKey.allCases.enumerated() {
        let value: UInt64 =
          if key == .physicalBits {
            40
          } else if key == .frequency {
            1_000_000
          } else if key.rawValue.hasSuffix(".bytes") {
            2048
          } else if key.rawValue.hasSuffix(".entries") {
            4
          } else if key.rawValue.hasSuffix(".ways") {
            2
          } else if key.rawValue.hasSuffix("unified") || key.rawValue.hasSuffix("holds-2M")
            || key == .executeFree
          {
            0
          } else {
            UInt64(number % 7)
          }
        figures[key] = Figure(value, source: "chosen for the test", flag: .derived)
      }
      return try CostProfile(name: "tiny", vendor: .intel, summary: "for the test", features: [], figures: figures)
    }
  }

  /// The guest's memory; what nobody has touched is 0.
  private static func words(_ memory: HostMemory, _ host: (UInt64) -> UInt64?) -> [UInt64] {
    (0..<Place.memory >> 12).flatMap { guest -> [UInt64] in
      guard let frame = host(guest), memory.isTouched(frame: frame) else { return [UInt64](repeating: 0, count: 512) }
      return stride(from: frame << 12, to: (frame + 1) << 12, by: 8).map { memory.word(at: HostPhysical($0)) }
    }
  }

  /// The input, byte by byte, from the start again when it ends.
  struct Bytes {
    private let input: [UInt8]
    private var index = 0
    private var rounds: UInt64 = 0

    init(_ input: [UInt8]) { self.input = input.isEmpty ? [0] : input }

    mutating func next() -> UInt8 {
      if index == input.count { (index, rounds) = (0, rounds &+ 1) }
      defer { index += 1 }
      return input[index] &+ UInt8(truncatingIfNeeded: rounds &* 29)
    }

    mutating func word() -> UInt64 { (0..<8).reduce(0) { value, _ in value << 8 | UInt64(next()) } }
  }
}
