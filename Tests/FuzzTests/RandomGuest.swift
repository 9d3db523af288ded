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
  private var bytes: Bytes
  private let code: [UInt8]

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

  /// How a run ended, and everything that it may not depend on how the code was cut.
  struct Outcome: Equatable {
    var ends: [String] = []
    var registers: [UInt64] = []
    var retired: UInt64 = 0
    var ledger: [UInt64] = []
    /// The guest's, in words.
    var memory: [UInt64] = []
    /// Whether a run was ended while the hypervisor still had something to do for the guest, which nobody does any more.
    var isCut = false
    /// What the hypervisor found wrong with its own tables.
    var violations: [String] = []

    /// What a guest can see of itself, however its memory is virtualised. Nothing can be said of one that did what
    /// Penumbra refuses, or of which an event was half delivered.
    var architecture: [String]? {
      guard !isCut, !ends.contains(where: { $0.hasPrefix("unsupported") }) else { return nil }
      return ends + registers.map { String($0, radix: 16) } + ["\(retired)"]
    }
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

  /// What the outcomes in long blocks and in blocks of one instruction first differ in.
  static func difference(_ whole: Outcome, _ single: Outcome) -> String {
    for (index, pair) in zip(whole.ends, single.ends).enumerated() where pair.0 != pair.1 {
      return "start \(index) ends with \(pair.0) in long blocks, \(pair.1) in short ones"
    }
    if whole.retired != single.retired { return "\(whole.retired) and \(single.retired) instructions" }
    if whole.registers != single.registers { return "registers \(whole.registers) and \(single.registers)" }
    if whole.ledger != single.ledger { return "ledgers \(whole.ledger) and \(single.ledger)" }
    return memoryDifference(whole, single) ?? "nothing"
  }

  private static func memoryDifference(_ one: Outcome, _ other: Outcome) -> String? {
    guard let index = one.memory.indices.first(where: { one.memory[$0] != other.memory[$0] }) else { return nil }
    let values = [one.memory[index], other.memory[index]].map { String($0, radix: 16) }
    return "the word at \(String(8 * index, radix: 16)): \(values[0]), \(values[1])"
  }

  /// What the outcomes under two kinds of virtualisation first differ in; nil where nothing does, or nothing can be
  /// said.
  static func difference(_ one: Outcome, _ other: Outcome) -> String? {
    guard let first = one.architecture, let second = other.architecture else { return nil }
    if first == second { return memoryDifference(one, other) }
    for (index, pair) in zip(first, second).enumerated() where pair.0 != pair.1 {
      return index < one.ends.count
        ? "start \(index) ends with \(pair.0), \(pair.1)" : "register \(index - one.ends.count): \(pair.0), \(pair.1)"
    }
    return "\(one.ends.count) and \(other.ends.count) starts"
  }

  // MARK: Memory

  private func load(_ bytes: inout Bytes, _ write: ([UInt8], UInt64) -> Bool) -> Bool {
    var written = true
    func put(_ values: [UInt64], at address: UInt64) {
      written = write(values.flatMap(Self.little), address) && written
    }

    let level = Place.tables
    put([level + 0x1007], at: level)
    put([level + 0x2007], at: level + 0x1000)
    // One table of 4 KiB pages, and a large page over the same memory.
    put([level + 0x3007, 0x87], at: level + 0x2000)
    let entries = (0..<512).map { entry(of: $0, &bytes) }
    put(entries, at: level + 0x3000)
    put([level + 7], at: Place.fifthTable)
    put([level + 0x2001], at: Place.directoryPointers)
    // A table for the first 4 MiB, of which the second half is the first again, and a page of 4 MiB.
    put([Place.narrowTable + 7 | 0x87 << 32], at: Place.narrowDirectory)
    func pair(_ number: Int) -> UInt64 { entries[number % 512] & 0xffff_ffff | entries[(number + 1) % 512] << 32 }
    put(stride(from: 0, to: 1024, by: 2).map(pair), at: Place.narrowTable)

    // Null; 64-bit code, data for ring 0; compatibility code; 16-bit code, not present; data and 64-bit code for
    // ring 3; the task, in two.
    let task = Place.task
    put(
      [
        0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff, 0x0000_1b01_0000_ffff,
        0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0x00cf_fb00_0000_ffff,
        0x0000_8b00_0000_0067 | task << 16, 0,
      ], at: Place.gdt)
    // Stacks of the task: ring 0 and IST 1 in a 64-bit one, ESP0 and SS0 in a 32-bit one lie where these do.
    put([Place.stack << 32, 0, 0, 0, 0, Place.stack], at: task)

    if mode == .real {
      put((0..<128).map { _ in Place.handler | Place.handler << 32 }, at: Place.idt)
      written = write(Self.realHandler, Place.handler) && written
      return write(code, Place.code) && written
    }
    let is64 = mode.isLong
    let gates: [UInt64] = (0..<256).flatMap { vector -> [UInt64] in
      let rights: UInt64 = vector & 7 == 3 ? 0xee : 0x8e
      let selector: UInt64 = is64 ? 0x08 : 0x18
      let gate = Place.handler | selector << 16 | rights << 40
      return is64 ? [gate, 0] : [gate]
    }
    put(gates, at: Place.idt)
    written = write(handler(wide: is64), Place.handler) && written
    return write(code, Place.code) && written
  }

  /// The leaf entry of a page, identity-mapped unless chance wills otherwise.
  private func entry(of page: Int, _ bytes: inout Bytes) -> UInt64 {
    let plain = UInt64(page) << 12 | 0x67
    // The last pages are windows on devices.
    if touchesDevices && page >= 512 - Self.deviceRegisters.count {
      return Self.deviceRegisters[page - (512 - Self.deviceRegisters.count)] | 0x67
    }
    let isVital = UInt64(page) << 12 < Place.code + UInt64(Place.codeSize) || page == Int(Place.stack >> 12) - 1
    guard wildTables, !isVital || bytes.next() & 15 == 0 else { return plain }
    switch bytes.next() & 7 {
    case 0: return bytes.word()
    case 1: return plain ^ 1 << (bytes.word() & 63)
    // Another page of memory; the tables themselves are among them.
    case 2: return (bytes.word() & 0x1ff) << 12 | 0x67
    case 3: return (bytes.word() & 0xf) << 12 | bytes.word() & 0x8000_0000_0000_0fff | 1
    default: return UInt64(page) << 12 | bytes.word() & 0x1e7 | 1
    }
  }

  /// Goes on 37 bytes further in the code after every exception, with the stack and some pointers put right.
  private func handler(wide: Bool) -> [UInt8] {
    let rex: [UInt8] = wide ? [0x48] : []
    func address(_ value: UInt64) -> [UInt8] { Array(Self.little(value)[..<4]) }
    // In 64-bit code an absolute address needs a SIB byte.
    let absolute: [UInt8] = wide ? [0x04, 0x25] : [0x05]
    var code: [UInt8] = []
    code += rex + [0xc7, 0xc4] + address(Place.stack - 0x100)
    code += rex + [0xc7, 0xc3] + address(Place.data + 0x800)
    code += rex + [0xc7, 0xc6] + address(Place.data)
    code += rex + [0xc7, 0xc7] + address(Place.data + 0x1000)
    code += rex + [0xc7, 0xc1] + address(3)
    code += [0x8b] + absolute + address(Place.cursor)
    code += [0x83, 0xc0, 37, 0x25] + address(UInt64(Place.codeSize - 1))
    code += [0x89] + absolute + address(Place.cursor)
    code += [0x05] + address(Place.code)
    return code + [0xff, 0xe0]
  }

  /// The same in real mode, from segment 0.
  private static var realHandler: [UInt8] {
    func half(_ value: UInt64) -> [UInt8] { Array(little(value)[..<2]) }
    var code: [UInt8] = [0xba] + half(Place.stack >> 4 & 0xf000) + [0x8e, 0xd2, 0xbc] + half(0x7f00)
    code += [0xba] + half(Place.data >> 4) + [0x8e, 0xda, 0x8e, 0xc2]
    code += [0xbb] + half(0x800) + [0xbe] + half(0) + [0xbf] + half(0x1000) + [0xb9] + half(3)
    code += [0x2e, 0xa1] + half(Place.cursor) + [0x83, 0xc0, 37, 0x25] + half(UInt64(Place.codeSize - 1))
    code += [0x2e, 0xa3] + half(Place.cursor)
    return code + [0x68] + half(Place.code >> 4) + [0x50, 0xcb]
  }

  // MARK: Registers

  /// Pages of device registers: local APIC, I/O APIC, test device, where the HPET would be.
  private static let deviceRegisters: [UInt64] = [0xfee0_0000, 0xfec0_0000, 0xff00_0000, 0xfed0_0000]
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

  private static func little(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  /// The guest's memory; what nobody has touched is 0.
  private static func words(_ memory: HostMemory, _ host: (UInt64) -> UInt64?) -> [UInt64] {
    (0..<Place.memory >> 12).flatMap { guest -> [UInt64] in
      guard let frame = host(guest), memory.isTouched(frame: frame) else { return [UInt64](repeating: 0, count: 512) }
      return stride(from: frame << 12, to: (frame + 1) << 12, by: 8).map { memory.word(at: HostPhysical($0)) }
    }
  }

  /// The input, byte by byte, from the start again when it ends.
  private struct Bytes {
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
