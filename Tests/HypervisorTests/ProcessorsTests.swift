import Boot
import Decoding
import Devices
import Guests
import Machine
import Support
import Testing

@testable import Hypervisor

/// Several virtual processors over one guest memory and one set of shadow or nested tables.
@Suite struct VirtualProcessorsTests {
  /// The guest `processors` on a hypervisor, its invariants checked after every few exits.
  final class Group {
    let memory: HostMemory
    let devices: PCDevices
    let console = BufferConsole()
    let processors: [Processor]
    let hypervisor: Hypervisor
    var interleaving: Interleaving
    var violations: [String] = []
    private var exits = 0

    init(
      _ kind: HypervisorOptions.Kind, cpus: Int, shadowPages: Int? = nil, hostPage: PageSize = .page4K,
      agile: AgileOptions = AgileOptions(), clock: ClockSource = .cycles,
      options change: (inout HypervisorOptions) -> Void = { _ in }
    ) throws {
      let size: UInt64 = 16 << 20
      let profile = testProfile(.intel)
      let image = BuiltInGuest.named("processors")?.image ?? []
      let plan = try BootPlan.make(
        image: image,
        options: BootOptions(
          memorySize: size, commandLine: "rounds=6 laps=2 changes=4", name: "processors", processors: cpus))
      let memory = try HostMemory(low: 3 * size)
      let devices = PCDevices(
        clockHertz: profile[.frequency], processors: cpus, memoryBytes: size, console: console)
      (self.memory, self.devices) = (memory, devices)
      processors = (0..<cpus).map { index in
        var options = ProcessorOptions()
        (options.index, options.count, options.clock) = (index, cpus, clock)
        return Processor(
          memory: memory, bus: devices, decoder: CapstoneDecoder(), profile: profile,
          features: FeatureSet(names: profile.features), options: options)
      }
      var options = HypervisorOptions(
        kind: kind, hostPage: hostPage, shadowPages: shadowPages, agile: agile, vendor: profile.vendor,
        ramRanges: [0..<size])
      change(&options)
      hypervisor = try Hypervisor(
        processors: processors, memory: memory, bus: devices, profile: profile, options: options)
      interleaving = Interleaving(processors: cpus, quantum: 300)
      for segment in plan.segments where !segment.bytes.isEmpty {
        #expect(hypervisor.writeGuest(segment.bytes, at: segment.address))
      }
      NativeGuest.start(processors[0], at: plan.entry)
      hypervisor.afterExit = { [unowned self] _ in
        exits += 1
        if exits % 7 == 0 { violations += hypervisor.checkInvariants() }
      }
    }

    func run() -> RunResult {
      interleaving.run(processors, devices, clockLimit: .max, retiredLimit: 3_000_000) {
        hypervisor.run($0, clockLimit: $1, retiredLimit: $2)
      }
    }
  }

  @Test(arguments: [2, 4], CoherencePolicy.allCases)
  func `shadow tables of several processors stay coherent, in a small pool too`(
    cpus: Int, policy: CoherencePolicy
  ) throws {
    for (pages, hostPage) in [(nil, .page4K), (1, .page4K), (nil, .page2M)] as [(Int?, PageSize)] {
      let machine = try Group(.shadow(policy), cpus: cpus, shadowPages: pages, hostPage: hostPage)
      #expect(machine.run() == .shutdown(.debugExit(0)))
      #expect(machine.violations == [])
      #expect(machine.console.text.hasPrefix("processors: \(cpus)\ncounted together: \(6 * cpus)\n"))
    }
  }

  @Test(arguments: [2, 4], [true, false])
  func `so does agile paging, whichever way tables begin`(cpus: Int, startsNested: Bool) throws {
    var agile = AgileOptions()
    // Those that begin nested soon go back; of the others those that are written go nested.
    (agile.startsNested, agile.patience, agile.interval) = (startsNested, 0, startsNested ? 50_000 : 1_000_000)
    var switches: UInt64 = 0
    for (pages, hostPage) in [(nil, .page4K), (1, .page4K), (nil, .page2M)] as [(Int?, PageSize)] {
      let machine = try Group(.agile, cpus: cpus, shadowPages: pages, hostPage: hostPage, agile: agile)
      #expect(machine.run() == .shutdown(.debugExit(0)))
      #expect(machine.violations == [])
      #expect(machine.console.text.hasPrefix("processors: \(cpus)\ncounted together: \(6 * cpus)\n"))
      switches += startsNested ? machine.hypervisor.statistics.cameBack : machine.hypervisor.statistics.wentNested
    }
    #expect(switches > 0)
  }

  @Test func `nested tables that processors share`() throws {
    let machine = try Group(.nested, cpus: 4)
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(machine.violations == [])
  }

  @Test(arguments: CoherencePolicy.allCases)
  func `every cycle of the hypervisor's is counted on some processor`(policy: CoherencePolicy) throws {
    let machine = try Group(.shadow(policy), cpus: 4)
    #expect(machine.run() == .shutdown(.debugExit(0)))
    let statistics = machine.hypervisor.statistics
    let profile = testProfile(.intel)
    func spent(_ cause: Cause) -> UInt64 { machine.processors.reduce(0) { $0 + $1.ledger[cause] } }
    for cause in [
      Cause.shootdown, .shadowFill, .shadowEmulate, .shadowReclaim, .shadowRoot, .shadowWalk, .shadowResync,
    ] {
      #expect(spent(cause) == statistics.work.cycles(cause, at: profile), "\(cause.name)")
    }
    // Each processor's virtual TLB is its own: nobody else holds what is in it, and nobody waits for it.
    #expect((spent(.shootdown) > 0) == policy.sharesPages)
    #expect(spent(.shadowLock) == statistics.lockWaitCycles)
    #expect((statistics.lockWaits > 0 && statistics.lockWaitCycles > 0) == policy.sharesPages)
  }

  @Test(arguments: CoherencePolicy.allCases.map(HypervisorOptions.Kind.shadow) + [.agile])
  func `a shadow page that is the root of any processor is not given up`(kind: HypervisorOptions.Kind) throws {
    var agile = AgileOptions()
    agile.startsNested = false
    let machine = try Group(kind, cpus: 4, shadowPages: 1, agile: agile)
    var roots: Set<Int> = []
    machine.hypervisor.afterExit = { [unowned machine] _ in
      let hypervisor = machine.hypervisor
      for one in hypervisor.virtualProcessors where !one.isKicked {
        // What the hardware has, whoever has loaded it.
        guard case .shadow(let paging) = one.processor.activeControls.paging, !paging.isGuestRoot,
          paging.root != hypervisor.shadows.emptyTable
        else { continue }
        let page = Int(hypervisor.allocator.owner(of: paging.root).number)
        let pool = hypervisor.shadows.pool
        roots.insert(page)
        #expect(pool[page].isLive && pool[page].role.level == 4 && pool[page].table == paging.root)
      }
    }
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(!roots.isEmpty)
  }

  @Test func `who comes while another holds the lock waits until it is free`() {
    var lock = TableLock()
    var waits = [lock.waits(0, 100, 100), lock.waits(1, 199, 10), lock.waits(2, 300, 1)]
    #expect(waits == [[:], [1: 1], [:]])
    // It is done before.
    waits = [lock.waits(1, 50, 50)]
    #expect(waits == [[:]])
  }

  @Test func `three holders never overlap, in whatever order their clocks come`() {
    var lock = TableLock()
    // The third came before the second began, and while the first held.
    var waits = [lock.waits(0, 1000, 3000), lock.waits(1, 1100, 3000), lock.waits(2, 1200, 3000)]
    #expect(waits == [[:], [1: 2900], [2: 5800]])
    // Who came first has it first, and the others learn how much longer they have waited.
    waits = [lock.waits(3, 900, 200)]
    #expect(waits == [[0: 100, 1: 100, 2: 100]])
    #expect(lock.holds.map(\.processor) == [3, 0, 1, 2])
    #expect(lock.holds.map(\.from) == [900, 1100, 4100, 7100])
  }

  @Test func `holds are apart but those that share, whatever comes`() {
    var random = RepeatableRandom(seed: 7)
    var lock = TableLock()
    var (waited, contended): (UInt64, Int) = (0, 0)
    for round in UInt64(0)..<400 {
      let came = round * 100 + random.next() % 3000
      let waits = lock.hold(
        by: Int(round), from: came, for: 1 + random.next() % 120, isShared: random.next() % 3 == 0)
      waited += waits.reduce(0) { $0 + $1.cycles }
      contended += waits.count
      for (number, one) in lock.holds.enumerated() {
        #expect(one.from >= one.came)
        for other in lock.holds[..<number] where !(one.isShared && other.isShared) {
          #expect(other.came <= one.came && other.until <= one.from)
        }
      }
      if round == 200 { #expect(lock.holds.reduce(0) { $0 + $1.from - $1.came } == waited) }
      if round > 200 { lock.forget(before: round * 100) }
    }
    #expect(contended > 100 && lock.holds.count < 100)
  }

  @Test func `processors that only fill nested tables do not wait for one another`() throws {
    let machine = try Group(.nested, cpus: 4)
    var holds = 0
    machine.hypervisor.afterExit = { [unowned machine] _ in
      holds = max(holds, machine.hypervisor.lock.holds.count)
      #expect(machine.hypervisor.lock.holds.allSatisfy { $0.isShared })
    }
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(machine.hypervisor.statistics.lockWaits == 0)
    #expect(holds > 1)
  }

  @Test(arguments: [HypervisorOptions.Kind.shadow(.trace), .shadow(.unsync), .nested, .agile])
  func `where cycles do not tell who came first nobody waits, and no hold is remembered`(
    kind: HypervisorOptions.Kind
  ) throws {
    let machine = try Group(kind, cpus: 4, clock: .instructions)
    machine.hypervisor.afterExit = { [unowned machine] _ in #expect(machine.hypervisor.lock.holds.isEmpty) }
    #expect(machine.run() == .shutdown(.debugExit(0)))
    #expect(machine.hypervisor.statistics.lockWaits == 0)
  }

  @Test func `an entry loses by what takes the page or a permission away`() {
    let host = HostPhysical(0x5000)
    func entry(_ writable: Bool, _ user: Bool, at host: HostPhysical = HostPhysical(0x5000)) -> ShadowEntry {
      ShadowEntry(mapping: host, PagePermissions(writable: writable, user: user, executable: true), level: 1)
    }
    #expect(!ShadowEntry.none.loses(by: entry(true, true)))
    #expect(entry(false, false).loses(by: .none))
    #expect(!entry(false, false).loses(by: entry(true, false)))
    #expect(entry(true, false).loses(by: entry(false, false)))
    #expect(entry(true, true).loses(by: entry(true, false)))
    #expect(entry(true, true).loses(by: entry(true, true, at: host.advanced(by: 0x1000))))
  }

  @Test func `a traced store that restores what another processor has changed meanwhile is not lost`() throws {
    // Both store to the same entry; the second one what was there before.
    let original = Place.data | 0x63
    let other = (Place.data + 0x1000) | 0x63
    let guest = try TinyGuest(
      .shadow,
      Code {
        $0.rbx(Place.entry(of: Place.window))
        $0.raw(0x48, 0x89, 0x0b)  // MOV [RBX], RCX
        $0.load(Place.window)
      }.bytes, cpus: 2)
    let hypervisor = try #require(guest.hypervisor)
    guest.set(Place.data, UInt64(0x11))
    guest.set(Place.data + 0x1000, UInt64(0x22))
    guest.set(Place.entry(of: Place.window), original)
    for (processor, value) in zip(guest.processors, [original, other]) {
      var state = processor.state
      state.slots[Int(Slot.rcx)] = value
      processor.state = state
    }
    // The first one's slice ends as soon as its store has been granted, if it may.
    while !hypervisor.isInBetween(0) && guest.processors[0].instructionsRetired < 2 {
      #expect(hypervisor.run(0, clockLimit: guest.processors[0].clock + 1) == .limit)
    }
    #expect(hypervisor.run(1) == .waits && hypervisor.run(0) == .waits)
    // Whichever store was the last, the page is the one that the table has.
    #expect(guest.rax == guest.word(guest.word(Place.entry(of: Place.window)) & EntryBit.frameMask))
    #expect(guest.violations == [])
  }

  @Test func `an instruction that is being helped is not interrupted by the end of a slice`() throws {
    // MOV RAX, [RBX]: a register that is read once.
    let guest = try TinyGuest(
      .nested,
      Code {
        $0.load(0x20_0010)
        $0.load(0x20_0018)
      }.bytes, cpus: 2)
    let hypervisor = try #require(guest.hypervisor)
    for _ in 0..<100 where !hypervisor.isHalted(0) {
      _ = hypervisor.run(0, clockLimit: guest.processors[0].clock + 1)
      #expect(!hypervisor.isInBetween(0))
    }
    #expect(hypervisor.isHalted(0) && guest.bus.registers.count == 2)
  }
}

extension TableLock {
  /// Holds the lock, and says who waits how long for that.
  fileprivate mutating func waits(_ processor: Int, _ came: UInt64, _ length: UInt64) -> [Int: UInt64] {
    Dictionary(uniqueKeysWithValues: hold(by: processor, from: came, for: length).map { ($0.processor, $0.cycles) })
  }
}
