import Decoding
import Machine
import Support
import Testing

/// The ledger against events that were counted apart from it: with another prime for every figure no sum comes out by
/// chance.
struct AuditTests {
  static let figures: [CostKey: UInt64] =
    .commonTLBs + .commonStructureCaches + .commonCaches + .primes + [
      .frequency: 200_000_000, .tlbData4KEntries: 12, .tlbL2Entries: 36, .cacheL2Bytes: 16 << 10,
      .cacheL3Bytes: 96 << 10,
      .cacheL3Ways: 3, .cacheL2Ways: 4, .cacheL1Bytes: 4096,
    ]

  /// Every cause that hardware alone charges, from the counters.
  private static func audit(_ processor: Processor, _ profile: CostProfile, dataCache: DataCacheModel = .off) {
    let counters = processor.counters
    let ledger = processor.ledger
    func references(_ counts: InlineArray<3, UInt64>) -> UInt64 {
      counts[0] * profile[.cacheL2Hit] + counts[1] * profile[.cacheL3Hit] + counts[2] * profile[.cacheMemory]
    }
    func inWalkCache(_ isHost: Bool) -> UInt64 {
      WalkPosition.all.reduce(0) { ($1.tables == .host) == isHost ? $0 + counters.walkCache($1).hits : $0 }
    }
    func sum<let count: Int>(_ values: InlineArray<count, UInt64>) -> UInt64 {
      values.indices.reduce(0) { $0 + values[$1] }
    }

    #expect(
      ledger[.walkGuest] == counters.walks * profile[.walkStart] + references(counters.firstReferences)
        + (sum(counters.structureHits) + inWalkCache(false)) * profile[.pscHit] + counters.bitUpdates[0]
        * profile[.walkSetBits])
    #expect(
      ledger[.walkHost] == references(counters.secondReferences)
        + (sum(counters.nestedStructureHits) + inWalkCache(true)) * profile[.pscHit]
        + counters.nestedTLBHits * profile[.nestedTLBHit] + counters.bitUpdates[1] * profile[.walkSetBits])
    #expect(ledger[.tlbL2] == counters.secondHits * profile[.tlbL2Hit])
    #expect(
      ledger[.fault] + ledger[.interrupt] == counters.exceptions * profile[.faultDelivery]
        + counters.interrupts * profile[.interruptDelivery] + counters.stackSwitches * profile[.stackSwitch])
    #expect(
      ledger[.io] == counters.portAccesses * profile[.portAccess] + counters.deviceAccesses * profile[.deviceAccess])
    #expect(ledger[.loadCR3] == counters.controlRegister3Loads * profile[.loadCR3])
    let contexts =
      ledger[.flush] - counters.flushesPage * profile[.flushPage] - counters.flushesAll * profile[.flushAll]
    #expect(contexts % profile[.flushAll] == 0 && contexts / profile[.flushAll] <= counters.flushesContext)
    #expect(ledger[.cacheL2] == (dataCache == .full ? counters.dataReferences[1] * profile[.cacheL2Hit] : 0))
    #expect(ledger[.cacheL3] == counters.dataReferences[2] * profile[.cacheL3Hit])
    #expect(ledger[.cacheMemory] == counters.dataReferences[3] * profile[.cacheMemory])
    #expect(ledger[.idle] >= counters.wakes * profile[.wake])

    // The clock is the sum, and nothing else is charged.
    #expect(ledger.total == processor.clock)
    let known: Set<Cause> = [
      .execute, .walkGuest, .walkHost, .tlbL2, .fault, .interrupt, .io, .loadCR3, .flush, .cacheL2, .cacheL3,
      .cacheMemory, .idle,
    ]
    #expect(ledger.nonzero.allSatisfy { known.contains($0.cause) })

    // The counters agree with each other.
    #expect(counters.secondHits + counters.secondMisses == counters.dataMisses + counters.codeMisses)
    #expect(counters.walks == counters.secondMisses)
    #expect(sum(counters.referencesPerWalk) == counters.walks)
    let perWalk = counters.referencesPerWalk.indices.reduce(0 as UInt64) {
      $0 + UInt64($1) * counters.referencesPerWalk[$1]
    }
    #expect(
      perWalk == sum(counters.firstReferences) + sum(counters.secondReferences) + inWalkCache(false) + inWalkCache(true)
    )
    #expect(counters.dataMisses <= processor.state.accesses && counters.codeMisses <= counters.codeLookups)
  }

  @Test(arguments: InvarianceTests.guests.indices, [DataCacheModel.off, .l2l3, .full])
  func `every cause of a guest's run is the sum of its events`(index: Int, dataCache: DataCacheModel) throws {
    let (name, parameters) = InvarianceTests.guests[index]
    let profile = CostProfile.flat(Self.figures)
    var options = ProcessorOptions()
    options.dataCache = dataCache
    let guest = try NativeGuest(name, parameters, profile: profile, options: options)
    guard case .shutdown = guest.processor.run() else {
      Issue.record("\(name) did not end")
      return
    }
    Self.audit(guest.processor, profile, dataCache: dataCache)
    if name != "hello" {
      #expect(
        guest.processor.ledger[.walkGuest] > 0 && guest.processor.ledger[.fault] + guest.processor.ledger[.loadCR3] > 0)
    }
  }

  @Test(arguments: [true, false], [0, 24] as [UInt64])
  func `both dimensions of nested paging are the sum of their events`(isExtended: Bool, walkCache: UInt64) {
    let guest = GuestMemory(hostPage: .page4K, isExtended: isExtended, fresh: true) {
      map(0x1000, to: 0x1000, .writable)
      map(0x40_0000, to: 0x20_0000, pages: 400, .writable, .fresh)
    }
    // mov eax, [rbx]; mov [rbx], eax; add rbx, 0x1000; dec ecx; jne back; mov eax, [0]: #PF; hlt in the handler
    let code: [UInt8] =
      [0x8b, 0x03, 0x89, 0x03, 0x48, 0x81, 0xc3, 0x00, 0x10, 0x00, 0x00, 0xff, 0xc9, 0x75, 0xf1]
      + [0x8b, 0x04, 0x25, 0x00, 0x00, 0x00, 0x00]
    let profile = CostProfile.flat(
      Self.figures + [
        .pscNestedPDE: 4, .pscNestedPDPTE: 2, .nestedTLBEntries: 16, .tlbData4KWays: 4, .walkCacheEntries: walkCache,
      ])
    let machine = TinyMachine(guest, code: code, at: 0x1000, profile: profile)
    machine.installHandlers()
    guard let plan = guest.nestedPlan(keepsAccessedDirty: true) else { return }
    machine.processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: 1))
    machine.update { state in
      state.slots[Int(Slot.rbx)] = 0x40_0000
      state.slots[Int(Slot.rcx)] = 400
    }
    #expect(machine.run() == .haltedForEver)
    Self.audit(machine.processor, profile)
    let counters = machine.processor.counters
    #expect(counters.walks > 800 && counters.bitUpdates[0] >= 800 && counters.bitUpdates[1] > 400)
    let inWalkCache = WalkPosition.all.reduce(0) { $0 + counters.walkCache($1).hits }
    #expect(walkCache == 0 ? inWalkCache == 0 : inWalkCache > 500)
    #expect(counters.nestedTLBHits > 100 && counters.nestedTLBMisses > 400 && counters.exceptions == 1)
  }

  @Test func `waiting and waking, invalidations and switches are charged one by one`() {
    let guest = GuestMemory { map(0x1000, to: 0x1000) }
    // invlpg [rbx] twice; mov cr3, rax; mov cr4, rcx; mov cr4, rdx; invpcid rsi, [rsp]; sti; hlt; cli; out 0x80, al; in
    // al, 0x80; hlt
    let code: [UInt8] =
      [0x0f, 0x01, 0x3b, 0x0f, 0x01, 0x3b, 0x0f, 0x22, 0xd8, 0x0f, 0x22, 0xe1, 0x0f, 0x22, 0xe2]
      + [0x66, 0x0f, 0x38, 0x82, 0x34, 0x24, 0xfb, 0xf4, 0xfa, 0xe6, 0x80, 0xe4, 0x80, 0xf4]
    let profile = CostProfile.flat(Self.figures)
    let machine = TinyMachine(guest, code: code, at: 0x1000, profile: profile)
    machine.installHandlers()
    machine.setHandler(0x20, [0x48, 0xcf])
    machine.bus.timetable = [(1_000_000, 0x20)]
    let cr4 = CR4.physicalAddressExtension
    machine.update { state in
      state.slots[Int(Slot.rax)] = guest.tables.root
      state.slots[Int(Slot.rcx)] = cr4 | CR4.pageGlobal
      state.slots[Int(Slot.rdx)] = cr4 | CR4.pageGlobal | CR4.smep
      state.slots[Int(Slot.rsi)] = 3
      state.slots[Int(Slot.rsp)] = TinyMachine.Place.stack - 16
    }
    machine.run(7)
    let before = machine.processor.clock
    #expect(machine.run() == .haltedForEver)
    Self.audit(machine.processor, profile)
    let ledger = machine.processor.ledger
    #expect(ledger[.flush] == 2 * profile[.flushPage] + 3 * profile[.flushAll])
    #expect(ledger[.loadCR3] == profile[.loadCR3])
    // From behind HLT to the deadline, and the waking.
    let halted = before + profile[.executeMicrocoded]
    #expect(ledger[.idle] == 1_000_000 - halted + profile[.wake])
    #expect(ledger[.io] == 2 * profile[.portAccess])
    #expect(ledger[.interrupt] == profile[.interruptDelivery])
  }

  // MARK: Instructions

  /// Adds up base costs instruction by instruction, from its own decoding.
  private final class Counter: MachineObserver {
    let guest: NativeGuest
    let profile: CostProfile
    private let decoder = CapstoneDecoder()
    private var rip: UInt64
    private var rcx: UInt64
    private(set) var cycles: UInt64 = 0

    init(_ guest: NativeGuest, _ profile: CostProfile) {
      self.guest = guest
      self.profile = profile
      rip = guest.processor.state.rip
      rcx = guest.processor.state.slots[Int(Slot.rcx)]
      guest.processor.observer = self
    }

    private var processor: Processor { guest.processor }

    private func bytes(at rip: UInt64) -> [UInt8] {
      let state = processor.state
      let base = state.codeSize == .bits64 ? 0 : state[.cs].base
      return (0..<15).map { offset in
        let access = Access(.fetch, state.cpl == 3 ? .user : .supervisor)
        guard case .mapped(let mapping) = processor.peek(GuestVirtual(rip + base + UInt64(offset)), access).result
        else { return 0xff }
        return guest.memory.read(mapping.host.address, count: 1)[0]
      }
    }

    private func operation(_ bytes: [UInt8], _ size: CodeSize) -> Operation? {
      withUnsafeTemporaryAllocation(of: Operation.self, capacity: CapstoneDecoder.maximumOperations) { output in
        guard let first = output.baseAddress,
          case .decoded(_, let count) = decoder.decode(bytes, count: 15, rip: rip, size: size, into: first)
        else { return nil }
        return output[count - 1]
      }
    }

    /// Elements that a repetition at an address has done, by its counter.
    private func count(_ operation: Operation) {
      guard operation.handler == .callout || operation.handler == .calloutTerminal,
        let callout = Callout(rawValue: operation.n),
        [.movs, .stos, .lods, .scas, .cmps, .ins, .outs].contains(callout),
        OperandForm(rawValue: operation.link).extra != Repetition.once.rawValue
      else { return }
      cycles += (rcx - processor.state.slots[Int(Slot.rcx)]) * profile[.executeStringElement]
    }

    /// What was at `rip` has not been completed; what comes next is the handler.
    func delivered(_ event: Event, rip: UInt64, at clock: UInt64) {
      switch event {
      // INT is completed by its delivery.
      case .software, .privilegedSoftware: break
      case .exception, .interrupt, .nonMaskable: if let pending { count(pending) }
      }
      begin()
    }

    private var pending: Operation?
    private func begin() {
      rip = processor.state.rip
      rcx = processor.state.slots[Int(Slot.rcx)]
      pending = operation(bytes(at: rip), processor.state.codeSize)
    }

    func step() -> RunResult {
      begin()
      let retired = processor.state.retired
      let result = processor.run(retiredLimit: retired + 1)
      if processor.state.retired != retired, let pending {
        cycles += profile[CostKey(rawValue: CostClass(rawValue: UInt8(pending.cycles))?.key ?? "") ?? .frequency]
        count(pending)
      }
      return result
    }
  }

  /// Guests without INT n, whose delivery is part of the instruction.
  @Test(arguments: [0, 2, 3, 4]) func `execute is the sum of the base costs, instruction by instruction`(index: Int)
    throws
  {
    let (name, parameters) = InvarianceTests.guests[index]
    let profile = CostProfile.flat(Self.figures)
    let guest = try NativeGuest(name, parameters, profile: profile)
    let counter = Counter(guest, profile)
    var result = RunResult.limit
    while result == .limit && guest.processor.state.retired < 150_000 {
      result = counter.step()
      guard counter.cycles == guest.processor.ledger[.execute] else {
        let rip = String(guest.processor.state.rip, radix: 16)
        Issue.record(
          "\(name): execute is \(guest.processor.ledger[.execute]), not \(counter.cycles), at RIP \(rip)")
        return
      }
    }
    #expect(guest.processor.state.retired > 1000)
  }
}
