import Devices
import Machine
import Testing

@testable import Emulator

/// `verify`: machines in step, and the first instruction after which they differ.
@Suite struct VerificationTests {
  private static func configuration(
    _ append: String = "", _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> Configuration {
    var configuration = try Configuration(pagings: PagingKind.all)
    configuration.memory = 64 << 20
    configuration.clock = .instructions
    configuration.tlb = .coherent
    configuration.append = append
    change(&configuration)
    return configuration
  }

  private static func verify(
    _ guest: GuestImage, every: UInt64, _ configuration: Configuration
  ) throws -> VerificationResult {
    try Verification(configuration, guest: guest, every: every) { BufferConsole() }.run()
  }

  @Test(
    "guests are the same under every kind of paging",
    arguments: [
      ("hello", "", 1), ("paging-tour", "", 331), ("page-table-storm", "rounds=1 pages=16", 100),
      ("context-switch", "spaces=2 tasks=2 pages=2 switches=6 warmup=2 mode=user", 97),
    ])
  func same(name: String, append: String, every: Int) throws {
    let result = try Self.verify(GuestImage.find(name), every: UInt64(every), Self.configuration(append))
    guard case .same(let outcome, let instructions, let comparisons) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(outcome == .shutdown(.debugExit(0)))
    #expect(comparisons >= instructions / UInt64(every + 16))
  }

  @Test(
    "guests are the same however many ticks an instruction takes",
    arguments: [
      ("context-switch", "spaces=2 tasks=2 pages=2 switches=6 warmup=2 switch=timer hz=1000", 1),
      ("processors", "rounds=2 laps=2 changes=3", 3),
    ],
    [7, 64])
  func ticks(guest: (name: String, append: String, cpus: Int), ticks: Int) throws {
    func instructions(_ ticks: Int) throws -> UInt64 {
      let configuration = try Self.configuration(guest.append) {
        ($0.cpus, $0.clockTicks) = (guest.cpus, UInt64(ticks))
        $0.profileChanges[.frequency] = 100_000_000
      }
      let result = try Self.verify(GuestImage.find(guest.name), every: 500, configuration)
      guard case .same(.shutdown(.debugExit(0)), let instructions, _) = result else {
        Issue.record("\(result)")
        return 0
      }
      return instructions
    }
    let wanted = try instructions(ticks)
    // Whoever waits for a timer waits for fewer instructions.
    if guest.cpus == 1 { #expect(try wanted < instructions(1)) }
  }

  @Test("registers that have numbers only are compared, too")
  func numberedRegisters() {
    let state = ProcessorState()
    var other = state
    other.memoryTypes = .firmware(physicalBits: 46)
    func seen(_ state: ProcessorState) -> ArchitecturalState { ArchitecturalState(state, time: 0, isHalted: false) }
    #expect(seen(state).differences(from: seen(state)).isEmpty)
    let names = seen(state).differences(from: seen(other)).map(\.name)
    #expect(names.contains("MSR 0x2ff") && names.contains("MSR 0x200") && names.contains("MSR 0x250"))
    #expect(names.count == 2 + 1 + 10)
  }

  @Test("several processors are the same, too", arguments: [2, 3])
  func processors(count: Int) throws {
    let configuration = try Self.configuration("rounds=5 laps=2 changes=3") { $0.cpus = count }
    let result = try Self.verify(GuestImage.find("processors"), every: 250, configuration)
    guard case .same(.shutdown(.debugExit(0)), _, _) = result else {
      Issue.record("\(result)")
      return
    }
  }

  /// It loads from 0x400000, makes the PDE of that page the next one's, and loads again without an INVLPG; in between it
  /// writes to a port. What it loaded it stores eight bytes on.
  static let forgetful = OutcomeTests.guest(findsDirectory + forgets)

  /// The same, after it has made the PDE the next one's once before, and taken that back.
  static let wavering = OutcomeTests.guest(
    findsDirectory + [
      0x48, 0x8b, 0x42, 0x18,  // mov rax, [rdx + 24]
      0x48, 0x8b, 0x4a, 0x10,  // mov rcx, [rdx + 16]
      0x48, 0x89, 0x42, 0x10,  // mov [rdx + 16], rax
      0x48, 0x89, 0x4a, 0x10,  // mov [rdx + 16], rcx
    ] + forgets)

  private static let findsDirectory: [UInt8] = [
    0x0f, 0x20, 0xda,  // mov rdx, cr3
    0x48, 0x8b, 0x12,  // mov rdx, [rdx]
    0x48, 0x81, 0xe2, 0x00, 0xf0, 0xff, 0xff,  // and rdx, -4096
    0x48, 0x8b, 0x12,  // mov rdx, [rdx]
    0x48, 0x81, 0xe2, 0x00, 0xf0, 0xff, 0xff,  // and rdx, -4096
  ]

  private static let forgets: [UInt8] = [
    0xbb, 0x00, 0x00, 0x40, 0x00,  // mov ebx, 0x400000
    0xc6, 0x03, 0x01,  // mov byte [rbx], 1
    0xc6, 0x83, 0x00, 0x00, 0x20, 0x00, 0x02,  // mov byte [rbx + 0x200000], 2
    0x48, 0x8b, 0x42, 0x18,  // mov rax, [rdx + 24]
    0x48, 0x89, 0x42, 0x10,  // mov [rdx + 16], rax
    0xe6, 0x80,  // out 0x80, al
    0x0f, 0xb6, 0x0b,  // movzx ecx, byte [rbx]
    0x88, 0x4b, 0x08,  // mov [rbx + 8], cl
    0x31, 0xc0,  // xor eax, eax
    0xe6, 0xf4,  // out 0xf4, al
  ]

  /// It starts the local APIC's timer, whose registers it maps at 0x400000, and reads what is left of the count.
  private static let counting = OutcomeTests.guest(
    findsDirectory + [
      0xb8, 0x83, 0x00, 0xe0, 0xfe,  // mov eax, 0xfee00083
      0x48, 0x89, 0x42, 0x10,  // mov [rdx + 16], rax
      0xbb, 0x00, 0x00, 0x40, 0x00,  // mov ebx, 0x400000
      0x0f, 0x01, 0x3b,  // invlpg [rbx]
      0xc7, 0x83, 0xf0, 0x00, 0x00, 0x00, 0xff, 0x01, 0x00, 0x00,  // mov dword [rbx + 0xf0], 0x1ff
      0xc7, 0x83, 0xe0, 0x03, 0x00, 0x00, 0x0b, 0x00, 0x00, 0x00,  // mov dword [rbx + 0x3e0], 11: divided by 1
      0xc7, 0x83, 0x20, 0x03, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00,  // mov dword [rbx + 0x320], 0x10020: masked
      0xc7, 0x83, 0x80, 0x03, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,  // mov dword [rbx + 0x380], 0x100000
      0x8b, 0x8b, 0x90, 0x03, 0x00, 0x00,  // mov ecx, [rbx + 0x390]
      0x31, 0xc0,  // xor eax, eax
      0xe6, 0xf4,  // out 0xf4, al
    ])

  @Test("a device is written at the same time by the bare machine and by a hypervisor", arguments: [1, 64])
  func timeOfDeviceWrites(ticks: Int) throws {
    let configuration = try Self.configuration { $0.clockTicks = UInt64(ticks) }
    let result = try Self.verify(Self.counting, every: 1, configuration)
    guard case .same(.shutdown(.debugExit(0)), _, _) = result else {
      Issue.record("\(result)")
      return
    }
  }

  /// Without tags every exit flushes, so that only the bare machine keeps the stale translation.
  private static func untagged(_ tlb: TLBCoherence) throws -> Configuration {
    try configuration {
      $0.pagings = [.native, .nested]
      $0.tlb = tlb
      $0.profileChanges[.taggedTLB] = 0
    }
  }

  @Test("a difference is found at its instruction, with both walks and what is stale", arguments: [1, 3, 10_000])
  func difference(every: Int) throws {
    let result = try Self.verify(Self.forgetful, every: UInt64(every), Self.untagged(.real))
    guard case .different(let difference) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(difference.instructions == 11)
    #expect(difference.fields == [.init(name: "rcx", first: "0x1", second: "0x2")])
    #expect(difference.first.instruction == "movzx ecx, byte ptr [rbx] (bytes 0f b6 0b) at RIP 0x200030")
    #expect(difference.address == GuestVirtual(0x40_0000))
    #expect(difference.first.walk.contains { $0.hasPrefix("L1 data TLB: 0x400000 (2M)") && $0.hasSuffix(", stale") })
    #expect(!difference.second.walk.contains { $0.hasSuffix(", stale") })
    #expect(difference.first.walk.contains { $0.contains("level 2 entry") && $0.hasSuffix("0x6000e3") })
    let writer = "mov qword ptr [rdx + 0x10], rax (bytes 48 89 42 10) at RIP 0x20002a"
    #expect(difference.staleness.contains { $0.hasSuffix("written by instruction 10, \(writer)") })
    #expect(difference.headline.hasSuffix("differ after instruction 12 in rcx, because a translation is stale"))
  }

  @Test("the last change of an entry is named, though it had the same value before")
  func wavers() throws {
    guard case .different(let difference) = try Self.verify(Self.wavering, every: 10_000, Self.untagged(.real)) else {
      Issue.record("they do not differ")
      return
    }
    #expect(difference.instructions == 15)
    let writer = "mov qword ptr [rdx + 0x10], rax (bytes 48 89 42 10) at RIP 0x20003a"
    #expect(difference.staleness.contains { $0.hasSuffix("written by instruction 14, \(writer)") }, "\(difference)")
  }

  @Test("a guest that has invalidated is not blamed")
  func invalidated() {
    typealias Event = SystemEvent
    let address = GuestVirtual(0x40_5000)
    func sentence(_ events: [Event], mask: UInt64 = 0x1f_ffff, isGlobal: Bool = false, cr4: UInt64 = 0) -> String {
      var log = InvalidationLog(of: address, offsetMask: mask, isGlobal: isGlobal, cr3: 0x1003, cr4: cr4)
      for event in events { log.note(event, cr4: cr4) }
      return log.description
    }
    func has(_ name: String) -> String {
      "since then \(name) has invalidated 0x405000: that something is stale is not the guest's fault"
    }
    let forgotten = "since then nothing has invalidated 0x405000 (INVLPG, INVPCID, a load of CR3 or CR4)"
    let page = Event.invalidation(GuestVirtual(0x40_0000))
    #expect(sentence([]) == forgotten)
    // All of a large page goes.
    #expect(sentence([page]) == has("INVLPG or INVPCID"))
    #expect(sentence([page], mask: 0xfff) == forgotten)
    #expect(sentence([.invalidation(nil)]) == "since then INVPCID may have invalidated 0x405000")
    func load(_ number: Int, _ old: UInt64, _ new: UInt64) -> Event {
      .controlRegister(number: number, old: old, new: new)
    }
    #expect(sentence([load(3, 0, 0x2000)]) == has("a load of CR3"))
    #expect(sentence([load(3, 0, 0x2000)], isGlobal: true) == forgotten)
    for (value, isFlushed) in [(0x1003, true), (0x1004, false), (0x1003 | 1 << 63, false)] as [(UInt64, Bool)] {
      #expect(sentence([load(3, 0, value)], cr4: CR4.pcid) == (isFlushed ? has("a load of CR3") : forgotten))
    }
    #expect(sentence([load(4, 0, CR4.pageGlobal)], isGlobal: true) == has("a load of CR4"))
    #expect(sentence([load(4, CR4.pcid, 0), load(0, CR0.paging, 0)]) == has("a load of CR0"))
    #expect(sentence([load(4, 0, CR4.pcid), load(0, 0, CR0.paging), load(2, 0, 1)]) == forgotten)
    var log = InvalidationLog(of: address, offsetMask: 0x1f_ffff, isGlobal: false, cr3: 0, cr4: 0)
    log.noteFault(at: GuestVirtual(0x40_4ff8))
    #expect(log.certain == nil)
    log.noteFault(at: GuestVirtual(0x40_5ff8))
    #expect(log.description == has("a page fault"))
  }

  @Test("coherent TLBs hide what a guest forgets")
  func coherent() throws {
    guard case .same = try Self.verify(Self.forgetful, every: 1, Self.untagged(.coherent)) else {
      Issue.record("they differ")
      return
    }
  }

  @Test("a difference in memory alone is found, and named by its address")
  func memory() throws {
    let verification = try Verification(Self.configuration(), guest: Self.forgetful, every: 4) { BufferConsole() }
    let result = verification.run { instructions in
      if instructions == 8 {
        _ = verification.lanes[2].machine.hypervisor?.writeGuest([7], at: GuestPhysical(0x50_0000))
      }
      return true
    }
    guard case .different(let difference) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(difference.fields == [.init(name: "memory at 0x500000", first: "0x0", second: "0x7")])
    // Nothing that the guest does brings it about again.
    #expect(difference.staleness == [])
  }

  @Test("it refuses one kind of paging, and the clock that counts cycles")
  func refused() throws {
    for change in [{ $0.pagings = [.nested] }, { $0.clock = .cycles }] as [(inout Configuration) -> Void] {
      let configuration = try Self.configuration("", change)
      #expect(throws: SetupError.self) { try Self.verify(Self.forgetful, every: 1, configuration) }
    }
  }
}
