import Decoding
import Machine

@testable import Hypervisor

/// A profile of round figures, all different, so that a wrong one shows in a sum.
func testProfile(_ vendor: Machine.Vendor = .intel, _ changes: [CostKey: UInt64] = [:]) -> CostProfile {
  var figures: [CostKey: Figure] = [:]
  for (index, key) in CostKey.allCases.enumerated() {
    figures[key] = Figure(UInt64(101 + 2 * index), source: "test", flag: .derived)
  }
  let geometry: [CostKey: UInt64] = [
    .frequency: 1_000_000_000, .physicalBits: 46, .tlbData4KEntries: 16, .tlbData4KWays: 4, .tlbData2MEntries: 4,
    .tlbData2MWays: 4, .tlbData1GEntries: 4, .tlbData1GWays: 4, .tlbDataUnified: 0, .tlbCode4KEntries: 16,
    .tlbCode4KWays: 4, .tlbCode2MEntries: 4, .tlbCode2MWays: 4, .tlbCode1GEntries: 4, .tlbCode1GWays: 4,
    .tlbCodeUnified: 0, .nestedAccessedDirty: 1, .tlbL2Entries: 64, .tlbL2Ways: 4, .tlbL2Holds2M: 1,
    .tlbL2Large2MEntries: 0, .tlbL2Large2MWays: 0, .tlbL2Large1GEntries: 4, .tlbL2Large1GWays: 4, .pscPML4E: 2,
    .pscPDPTE: 2, .pscPDE: 4, .pscNestedPDPTE: 2, .pscNestedPDE: 4, .nestedTLBEntries: 8,
    .cacheL1Bytes: 0, .cacheL1Ways: 0, .cacheL2Bytes: 0, .cacheL2Ways: 0, .cacheL3Bytes: 0, .cacheL3Ways: 0,
    .taggedTLB: 1,
  ]
  for (key, value) in geometry.merging(changes, uniquingKeysWith: { $1 }) {
    figures[key] = Figure(value, source: "test", flag: .derived)
  }
  do {
    return try CostProfile(
      name: "test", vendor: vendor, summary: "",
      features: [
        "lm", "nx", "syscall", "smep", "smap", "pcid", "invpcid", "cx16", "pge", "sse", "sse2", "la57", "pku", "pks",
        "pse", "pae", "pse36",
      ],
      figures: figures)
  } catch {
    preconditionFailure("\(error)")
  }
}

/// A bus with one register at every address and every port, which remembers what was done to it.
final class RecordingBus: DeviceBus {
  struct Access: Equatable {
    var address: UInt64
    var width: Int
    /// Nil for a read.
    var written: UInt64?
  }

  /// What is written there raises an NMI.
  static let nonMaskablePort: UInt16 = 0x66

  var registers: [Access] = []
  var ports: [Access] = []
  var pending: UInt8?
  var latched: ProcessorSignals = []
  var deadline = UInt64.max
  var shutdown: Shutdown?

  func readPort(_ port: UInt16, width: Int, now: UInt64) -> UInt32 {
    ports.append(Access(address: UInt64(port), width: width))
    return 0xa1b2_c3d4
  }
  func writePort(_ port: UInt16, width: Int, value: UInt32, now: UInt64) {
    ports.append(Access(address: UInt64(port), width: width, written: UInt64(value)))
    if port == RecordingBus.nonMaskablePort { latched.insert(.nonMaskable) }
  }
  func readRegister(_ address: GuestPhysical, width: Int, processor: Int, now: UInt64) -> UInt64 {
    registers.append(Access(address: address.rawValue, width: width))
    return 0x1122_3344_5566_7788
  }
  func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64, processor: Int, now: UInt64) {
    registers.append(Access(address: address.rawValue, width: width, written: value))
  }
  var nextDeadline: UInt64 { deadline }
  func advance(to now: UInt64) {
    guard now >= deadline else { return }
    pending = 0x40
    deadline = .max
  }
  func signals(processor: Int) -> ProcessorSignals { pending == nil ? latched : latched.union(.interrupt) }
  func take(_ signal: ProcessorSignals, processor: Int, now: UInt64) -> UInt8 {
    latched.subtract(signal)
    return 0
  }
  func readLocalRegister(_ number: UInt32, processor: Int, now: UInt64) -> UInt64? { 0xfee0_0900 }
  func writeLocalRegister(_ number: UInt32, value: UInt64, processor: Int, now: UInt64) -> Bool { true }
  func taskPriority(processor: Int) -> UInt8 { 0 }
  func setTaskPriority(_ value: UInt8, processor: Int, now: UInt64) {}
  func setTimeStampOffset(_ offset: UInt64, processor: Int, now: UInt64) {}
  func acknowledgeInterrupt(processor: Int, now: UInt64) -> UInt8 {
    defer { pending = nil }
    return pending ?? 0xff
  }
}

/// How a tiny guest's memory is virtualised.
enum Kind: String, CaseIterable {
  case native, nested, nestedAMD, nested2M, nested5, shadow, shadowLazy, shadow2M, shadowSmallPool
  case unsync, unsyncLazy, unsync2M, unsyncSmallPool, unsyncOne, vtlb, vtlb2M, vtlbSmallPool, vtlbAround
  /// From nested tables on; from shadow tables on; and from those on with every nested one soon back.
  case agile, agileStay, agileBack, agileBackAMD, agileBack2M, agileBack5, agileBackSmallPool

  /// The policy of shadow paging.
  var policy: CoherencePolicy? {
    switch self {
    case .native, .nested, .nestedAMD, .nested2M, .nested5: nil
    case .shadow, .shadowLazy, .shadow2M, .shadowSmallPool: .trace
    case .unsync, .unsyncLazy, .unsync2M, .unsyncSmallPool, .unsyncOne: .unsync
    case .vtlb, .vtlb2M, .vtlbSmallPool, .vtlbAround: .vtlb
    case .agile, .agileStay, .agileBack, .agileBackAMD, .agileBack2M, .agileBack5, .agileBackSmallPool: .trace
    }
  }

  var isShadow: Bool { policy != nil }

  var isAgile: Bool {
    switch self {
    case .agile, .agileStay, .agileBack, .agileBackAMD, .agileBack2M, .agileBack5, .agileBackSmallPool: true
    default: false
    }
  }

  var isAMD: Bool { self == .nestedAMD || self == .agileBackAMD }

  func options(vendor: Machine.Vendor, ramRanges: [Range<UInt64>]) -> HypervisorOptions {
    var options = HypervisorOptions(
      kind: isAgile ? .agile : policy.map(HypervisorOptions.Kind.shadow) ?? .nested, vendor: vendor,
      ramRanges: ramRanges)
    if isAgile && self != .agile {
      options.agile.startsNested = false
      if self != .agileStay { (options.agile.patience, options.agile.interval) = (0, 20_000) }
    }
    switch self {
    case .nested2M, .shadow2M, .unsync2M, .vtlb2M, .agileBack2M: options.hostPage = .page2M
    case .shadowLazy, .unsyncLazy: options.eagerFill = false
    case .shadowSmallPool, .vtlbSmallPool, .agileBackSmallPool: options.shadowPages = 1
    case .unsyncSmallPool: (options.shadowPages, options.fillAround) = (1, 8)
    case .unsyncOne: options.outOfSyncLimit = 1
    case .nested5, .agileBack5: options.nestedLevels = 5
    case .vtlbAround: options.fillAround = 8
    case .native, .nested, .nestedAMD, .shadow, .unsync, .vtlb, .agile, .agileStay, .agileBack, .agileBackAMD: break
    }
    return options
  }
}

/// Where things are in a tiny guest's memory. The first 2 MiB are mapped to themselves by `table`, supervisor and
/// writable.
enum Place {
  static let root: UInt64 = 0x1000
  static let pointers: UInt64 = 0x2000
  static let directory: UInt64 = 0x3000
  static let table: UInt64 = 0x4000
  static let gdt: UInt64 = 0x5000
  static let idt: UInt64 = 0x6000
  static let task: UInt64 = 0x8000
  static let code: UInt64 = 0x1_0000
  static let handler: UInt64 = 0x1_1000
  static let stack: UInt64 = 0x2_0000
  static let exceptionStack: UInt64 = 0x2_8000
  static let data: UInt64 = 0x3_0000
  /// A window of eight pages that the guest maps as it likes, beginning as pages of `data`.
  static let window: UInt64 = 0x10_0000
  /// Not memory.
  static let device: UInt64 = 0x800_0000
  /// Between the root and `pointers`, where there are five levels.
  static let fourthTable: UInt64 = 0xa000

  static func entry(of address: UInt64) -> UInt64 { table + (address >> 12) * 8 }
}

/// A guest of a few instructions on a whole machine, in 64-bit mode with paging on.
final class TinyGuest {
  static let memorySize: UInt64 = 8 << 20
  static let kernelPage: UInt64 = 0x3

  let kind: Kind
  let mode: PagingMode
  /// Bytes of memory; what lies behind them is a device's.
  let memorySize: UInt64
  let profile: CostProfile
  let bus = RecordingBus()
  let memory: HostMemory
  /// One, unless a test asks for more: the others begin at the same code.
  let processors: [Processor]
  var processor: Processor { processors[0] }
  let hypervisor: Hypervisor?
  /// What `checkInvariants` found after the exits so far.
  var violations: [String] = []
  var exits: [VMExit] = []

  init(
    _ kind: Kind, _ code: [UInt8], handler: [UInt8] = [0xf4], mode: PagingMode = .levels4,
    figures changes: [CostKey: UInt64] = [:], isCoherent: Bool = false, cpus: Int = 1,
    memory size: UInt64 = TinyGuest.memorySize,
    options change: (inout HypervisorOptions) -> Void = { _ in }
  ) throws {
    self.kind = kind
    self.mode = mode
    memorySize = size
    profile = testProfile(kind.isAMD ? .amd : .intel, changes)
    let memory = try HostMemory(low: kind == .native ? size : 2 * size)
    self.memory = memory
    processors = (0..<cpus).map { [bus, profile] index in
      var options = ProcessorOptions()
      options.coherentTLB = isCoherent
      (options.index, options.count) = (index, cpus)
      return Processor(
        memory: memory, bus: bus, decoder: CapstoneDecoder(), profile: profile,
        features: FeatureSet(names: profile.features), options: options)
    }
    if kind == .native {
      hypervisor = nil
    } else {
      var wishes = kind.options(vendor: profile.vendor, ramRanges: [0..<size])
      change(&wishes)
      hypervisor = try Hypervisor(
        processors: processors, memory: memory, bus: bus, profile: profile, options: wishes)
    }
    hypervisor?.afterExit = { [unowned self] exit in
      exits.append(exit)
      violations += hypervisor?.checkInvariants() ?? []
    }
    buildTables()
    buildDescriptors()
    set(Place.code, code)
    set(Place.handler, handler)
    for processor in processors { start(processor) }
  }

  // MARK: Memory

  func set(_ address: UInt64, _ bytes: [UInt8]) {
    let written =
      hypervisor?.writeGuest(bytes, at: GuestPhysical(address)) ?? memory.write(bytes, at: HostPhysical(address))
    precondition(written)
  }

  func set(_ address: UInt64, _ value: UInt64) {
    set(address, (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
  }

  func bytes(_ address: UInt64, _ count: Int) -> [UInt8] {
    hypervisor?.readGuest(GuestPhysical(address), count: count) ?? memory.read(HostPhysical(address), count: count)
  }

  func word(_ address: UInt64) -> UInt64 {
    bytes(address, 8).enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
  }

  var rax: UInt64 { processor.state.slots[Int(Slot.rax)] }

  private func buildTables() {
    switch mode {
    case .narrow: return buildNarrowTables()
    case .pae: set(Place.root, Place.directory | 1)
    case .levels5:
      set(Place.root, Place.fourthTable | 7)
      set(Place.fourthTable, Place.pointers | 7)
    default: set(Place.root, Place.pointers | 7)
    }
    set(Place.pointers, Place.directory | 7)
    set(Place.directory, Place.table | 7)
    for page in UInt64(0)..<512 { set(Place.table + page * 8, target(page) | TinyGuest.kernelPage) }
    // A page of devices at 2 MiB.
    set(Place.directory + 8, 0x9000 | 7)
    set(0x9000, Place.device | TinyGuest.kernelPage)
  }

  private func target(_ page: UInt64) -> UInt64 {
    let window = page << 12 >= Place.window && page << 12 < Place.window + 0x8000
    return window ? Place.data + (page << 12 - Place.window) : page << 12
  }

  /// 4 MiB in a table of 1024 entries, and a page of devices at 4 MiB.
  private func buildNarrowTables() {
    func setEntry(_ address: UInt64, _ value: UInt64) {
      set(address, (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
    }
    setEntry(Place.root, Place.table | 7)
    setEntry(Place.root + 4, 0x9000 | 7)
    for page in UInt64(0)..<1024 { setEntry(Place.table + page * 4, target(page) | TinyGuest.kernelPage) }
    setEntry(0x9000, Place.device | TinyGuest.kernelPage)
  }

  private var isLong: Bool { mode == .levels4 || mode == .levels5 }

  private func buildDescriptors() {
    guard isLong else {
      set(Place.gdt + 8, 0x00cf_9b00_0000_ffff)
      set(Place.gdt + 16, 0x00cf_9300_0000_ffff)
      for vector in UInt64(0)..<256 {
        set(
          Place.idt + vector * 8,
          Place.handler & 0xffff | 8 << 16 | 0x8e00 << 32 | (Place.handler & 0xffff_0000) << 32)
      }
      return
    }
    set(Place.gdt + 8, 0x00af_9b00_0000_ffff)
    set(Place.gdt + 16, 0x00cf_9300_0000_ffff)
    for vector in UInt64(0)..<256 {
      let low = Place.handler & 0xffff | 8 << 16 | 1 << 32 | 0x8e00 << 32 | (Place.handler & 0xffff_0000) << 32
      set(Place.idt + vector * 16, low)
      set(Place.idt + vector * 16 + 8, UInt64(0))
    }
    // The first stack of the interrupt stack table.
    set(Place.task + 36, Place.exceptionStack)
  }

  private func start(_ processor: Processor) {
    var state = processor.state
    state.awaitsStartUp = false
    state.rip = Place.code
    state.cr0 = CR0.protectionEnable | CR0.extensionType | CR0.writeProtect | CR0.paging
    state.cr3 = Place.root
    state.cr4 =
      mode == .narrow ? CR4.pageSizeExtensions : CR4.physicalAddressExtension | (mode == .levels5 ? CR4.la57 : 0)
    state.efer = EFER.noExecute | (isLong ? EFER.longModeEnable | EFER.longModeActive : 0)
    if mode == .pae { state.directoryPointers = DirectoryPointers(Place.directory | 1) }
    state[.cs] = Segment(selector: 8, base: 0, limit: .max, attributes: isLong ? 0xa09b : 0xc09b)
    for register in [SegmentRegister.ss, .ds, .es, .fs, .gs] {
      state[register] = Segment(selector: 16, base: 0, limit: .max, attributes: 0xc093)
    }
    state.tr = Segment(selector: 0x28, base: Place.task, limit: 0x67, attributes: 0x8b)
    state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x2f)
    state.idtr = DescriptorTable(base: Place.idt, limit: 0xfff)
    state.slots[Int(Slot.rsp)] = Place.stack
    processor.state = state
    processor.refresh()
  }

  @discardableResult func run(retiredLimit: UInt64 = 10_000) -> RunResult {
    hypervisor?.run(retiredLimit: retiredLimit) ?? processor.run(retiredLimit: retiredLimit)
  }

  /// What a guest can see of itself in the end.
  var architecture: [UInt64] {
    let state = processor.state
    return (0..<16).map { state.slots[$0] }
      + [state.rip, state.rflags, state.cr0, state.cr2, state.cr3, state.cr4, state.retired]
  }

  /// All of the guest's memory, page by page; nil for pages of zeros.
  var allMemory: [[UInt8]?] {
    (UInt64(0)..<memorySize >> 12).map { frame in
      let host = hypervisor.map { $0.hostAddress(of: GuestPhysical(frame << 12)) } ?? HostPhysical(frame << 12)
      guard let host, memory.isTouched(frame: host.frame) else { return nil }
      let page = [UInt8](UnsafeRawBufferPointer(start: memory.base + Int(host.rawValue), count: 4096))
      return page.contains(where: { $0 != 0 }) ? page : nil
    }
  }
}

/// Machine code, one instruction a call.
struct Code {
  var bytes: [UInt8] = []

  private mutating func add(_ opcode: [UInt8], _ value: UInt64) {
    bytes += opcode + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }

  mutating func raw(_ opcode: UInt8...) { bytes += opcode }
  mutating func rax(_ value: UInt64) { add([0x48, 0xb8], value) }
  mutating func rbx(_ value: UInt64) { add([0x48, 0xbb], value) }
  mutating func rcx(_ value: UInt64) { add([0x48, 0xb9], value) }
  mutating func rdx(_ value: UInt64) { add([0x48, 0xba], value) }
  mutating func rdi(_ value: UInt64) { add([0x48, 0xbf], value) }
  mutating func rsp(_ value: UInt64) { add([0x48, 0xbc], value) }
  /// MOV [address], value.
  mutating func store(_ address: UInt64, _ value: UInt64) {
    rbx(address)
    rax(value)
    raw(0x48, 0x89, 0x03)
  }
  /// MOV RAX, [address].
  mutating func load(_ address: UInt64) {
    rbx(address)
    raw(0x48, 0x8b, 0x03)
  }
  /// WRPKRU.
  mutating func userKeys(_ rights: UInt64) {
    rcx(0)
    rdx(0)
    rax(rights)
    raw(0x0f, 0x01, 0xef)
  }
  /// WRMSR with the lower half of a value.
  private mutating func writeMSR(_ number: UInt64, _ value: UInt64) {
    rcx(number)
    rdx(0)
    rax(value)
    raw(0x0f, 0x30)
  }
  /// IA32_PKRS.
  mutating func supervisorKeys(_ rights: UInt64) { writeMSR(0x6e1, rights) }
  /// EFER, in long mode.
  mutating func efer(_ bits: UInt64) { writeMSR(0xc000_0080, EFER.longModeEnable | bits) }
  /// MOV to a control register.
  private mutating func writeControl(_ number: UInt8, _ value: UInt64) {
    rax(value)
    raw(0x0f, 0x22, 0xc0 | number << 3)
  }
  mutating func cr0(_ value: UInt64) { writeControl(0, value) }
  mutating func cr3(_ value: UInt64) { writeControl(3, value) }
  mutating func cr4(_ value: UInt64) { writeControl(4, value) }
  mutating func invalidate(_ address: UInt64) {
    rbx(address)
    raw(0x0f, 0x01, 0x3b)
  }
  mutating func halt() { raw(0xf4) }

  init(_ build: (inout Code) -> Void) {
    build(&self)
    halt()
  }
}
