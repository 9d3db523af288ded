import Machine
import Support
import Testing

/// Every combination of entry bits, control bits and access against the manual's rules (SDM vol. 3, 4.6 and 4.7),
/// written a second time here.
struct PermissionTests {
  static let address: UInt64 = 0x7f00_0000_0000

  /// What varies of an entry.
  struct Bits: OptionSet, CustomStringConvertible {
    let rawValue: UInt64
    static let present = Bits(rawValue: 1 << 0)
    static let writable = Bits(rawValue: 1 << 1)
    static let user = Bits(rawValue: 1 << 2)
    static let reserved = Bits(rawValue: 1 << 51)
    static let noExecute = Bits(rawValue: 1 << 63)
    static let permissive: Bits = [.present, .writable, .user]

    static let all: [Bits] = (0..<32).map { number in
      zip([present, writable, user, reserved, noExecute], 0..<5).reduce(into: Bits()) { bits, next in
        if number >> next.1 & 1 != 0 { bits.insert(next.0) }
      }
    }

    var description: String {
      let names: [(Bits, String)] = [
        (.present, "P"), (.writable, "W"), (.user, "U"), (.reserved, "RSVD"), (.noExecute, "NX"),
      ]
      return names.filter { contains($0.0) }.map(\.1).joined(separator: "+")
    }
  }

  struct Controls: CustomStringConvertible {
    var writeProtect, smep, smap, alignmentCheck, noExecute: Bool

    static let all: [Controls] = (0..<32).map { number in
      func bit(_ place: Int) -> Bool { (number >> place) & 1 != 0 }
      return Controls(
        writeProtect: bit(0), smep: bit(1), smap: bit(2), alignmentCheck: bit(3), noExecute: bit(4))
    }

    func apply(to state: inout ProcessorState) {
      state.cr0 = state.cr0 & ~CR0.writeProtect | (writeProtect ? CR0.writeProtect : 0)
      state.cr4 = CR4.physicalAddressExtension | (smep ? CR4.smep : 0) | (smap ? CR4.smap : 0)
      state.efer = state.efer & ~EFER.noExecute | (noExecute ? EFER.noExecute : 0)
      state.rflags = alignmentCheck ? Flag.alignmentCheck : 0
    }

    var description: String {
      [(writeProtect, "WP"), (smep, "SMEP"), (smap, "SMAP"), (alignmentCheck, "AC"), (noExecute, "NXE")]
        .filter(\.0).map(\.1).joined(separator: "+")
    }
  }

  // MARK: The rules

  /// The error code of the fault that an access makes; nil where it is allowed. Entries are listed from the top.
  static func errorCode(_ entries: [Bits], _ controls: Controls, _ access: Access) -> UInt32? {
    var code: UInt32 = access.kind == .write ? 2 : 0
    if access.privilege == .user { code |= 4 }
    if access.kind == .fetch && (controls.noExecute || controls.smep) { code |= 16 }

    for entry in entries {
      if !entry.contains(.present) { return code }
      if entry.contains(.reserved) || entry.contains(.noExecute) && !controls.noExecute { return code | 9 }
    }
    let isUserPage = entries.allSatisfy { $0.contains(.user) }
    let isWritable = entries.allSatisfy { $0.contains(.writable) }
    let isExecutable = entries.allSatisfy { !$0.contains(.noExecute) }

    let isAllowed: Bool
    if access.privilege == .user {
      isAllowed = isUserPage && (access.kind != .write || isWritable) && (access.kind != .fetch || isExecutable)
    } else if access.kind == .fetch {
      isAllowed = isExecutable && !(controls.smep && isUserPage)
    } else {
      let isExcused = controls.alignmentCheck && access.privilege == .supervisor
      isAllowed =
        !(controls.smap && isUserPage && !isExcused)
        && (access.kind == .read || isWritable || !controls.writeProtect)
    }
    return isAllowed ? nil : code | 1
  }

  // MARK: As instructions meet them

  /// How an access is made by an instruction.
  enum Deed: CaseIterable {
    case read, write, update, fetch
    /// Loading DS, whose descriptor is on the page.
    case descriptor

    var kind: AccessKind {
      switch self {
      case .read, .descriptor: .read
      case .write, .update: .write
      case .fetch: .fetch
      }
    }

    func access(cpl: UInt8) -> Access {
      Access(kind, self == .descriptor ? .implicitSupervisor : cpl == 3 ? .user : .supervisor)
    }
  }

  private static func machine(_ size: PageSize) -> TinyMachine {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x2000, to: 0x2000, .user)
      map(address, to: 0x800_0000 & ~size.offsetMask, size: size, .writable, .user)
    }
    let machine = TinyMachine(guest)
    machine.installHandlers()
    // At 0, 16, 32 and 48: mov al, [rbx]; mov [rbx], al; add [rbx], al; mov ds, ecx.
    for (index, code) in [[0x8a, 0x03], [0x88, 0x03], [0x00, 0x03], [0x8e, 0xd9] as [UInt8]].enumerated() {
      guest.write(code, atPhysical: 0x1000 + UInt64(index) * 16)
      guest.write(code, atPhysical: 0x2000 + UInt64(index) * 16)
    }
    // On the page: a descriptor of user data, accessed; an instruction.
    let page = 0x800_0000 & ~size.offsetMask
    guest.setWord(0x00cf_f300_0000_ffff, atPhysical: page + 0x18)
    guest.write([0x90], atPhysical: page + 0x100)
    return machine
  }

  @Test(arguments: PageSize.allCases)
  func `an instruction's access faults or passes, and sets A and D, by the manual's rules`(size: PageSize) {
    let machine = Self.machine(size)
    let guest = machine.guest
    let levels = Array((size.level...4).reversed())
    let plain = Dictionary(uniqueKeysWithValues: levels.map { ($0, guest.entry(Self.address, level: $0) & ~0x67) })
    let places = Dictionary(
      uniqueKeysWithValues: levels.map { ($0, guest.tables.entry(Self.address, level: $0)) })
    var wrong = 0

    func check(_ entries: [Bits], _ controls: Controls, _ deed: Deed, _ cpl: UInt8) {
      for (level, bits) in zip(levels, entries) {
        guest.host.setWord((plain[level] ?? 0) | bits.rawValue, at: places[level] ?? HostPhysical(0))
      }
      machine.enterRing(cpl)
      machine.update { state in
        controls.apply(to: &state)
        state.isHalted = false
        state.slots[Int(Slot.rbx)] = Self.address + 0x200
        state.slots[Int(Slot.rcx)] = 0x1b
        state.slots[Int(Slot.rsp)] = TinyMachine.Place.stack
        state.gdtr.base = TinyMachine.Place.gdt
        let code: UInt64 = cpl == 3 ? 0x2000 : 0x1000
        switch deed {
        case .read: state.rip = code
        case .write: state.rip = code + 16
        case .update: state.rip = code + 32
        case .descriptor:
          state.rip = code + 48
          state.gdtr.base = Self.address
        case .fetch: state.rip = Self.address + 0x100
        }
      }
      let access = deed.access(cpl: cpl)
      let expected = Self.errorCode(entries, controls, access)
      let retired = machine.processor.state.retired
      let faults = machine.processor.counters.exceptions
      // The handler needs the GDT, so that a fault on it cannot be delivered: it is asked for where it was raised.
      machine.run(1)
      let passed = machine.processor.state.retired == retired + 1 && machine.processor.counters.exceptions == faults
      var isRight = passed == (expected == nil)
      if let expected, deed != .descriptor {
        let target = deed == .fetch ? Self.address + 0x100 : Self.address + 0x200
        isRight =
          isRight
          && machine.lastException == GuestException(vector: 14, errorCode: expected, address: target)
          && machine.processor.state.cr2 == target
      }
      for (level, bits) in zip(levels, entries) {
        var now = bits.rawValue
        if expected == nil {
          now |= 0x20
          if level == size.level && access.isWrite { now |= 0x40 }
        }
        isRight = isRight && guest.host.word(at: places[level] ?? HostPhysical(0)) == (plain[level] ?? 0) | now
      }
      machine.update { $0.isShutDown = false }
      if !isRight {
        wrong += 1
        if wrong < 5 {
          let found = passed ? "allowed" : machine.lastException?.description ?? "stopped"
          Issue.record(
            "\(deed) at CPL \(cpl), \(controls), entries \(entries): \(found), not code \(expected ?? 0)")
        }
      }
    }

    for level in levels.indices {
      withEvery(Bits.all, Controls.all, Deed.allCases, [0, 3] as [UInt8]) { bits, controls, deed, cpl in
        var entries = levels.map { _ in Bits.permissive }
        entries[level] = bits
        check(entries, controls, deed, cpl)
      }
    }
    #expect(wrong == 0)
  }

  // MARK: Two entries at a time

  /// Through the walker as the debugger has it, which is the hardware's with another port.
  @Test func `any two entries of a path decide together`() {
    let machine = Self.machine(.page4K)
    let guest = machine.guest
    let plain = (1...4).map { guest.entry(Self.address, level: $0) & ~0x67 }
    let places = (1...4).map { guest.tables.entry(Self.address, level: $0) }
    let accesses = AccessKind.allCases.flatMap { kind in
      Privilege.allCases.filter { kind != .fetch || $0 != .implicitSupervisor }.map { Access(kind, $0) }
    }
    var wrong = 0
    for controls in Controls.all {
      machine.update { controls.apply(to: &$0) }
      for upper in 2...4 {
        for lower in 1..<upper {
          withEvery(Bits.all, Bits.all) { first, second in
            var entries = Array(repeating: Bits.permissive, count: 4)
            entries[4 - upper] = first
            entries[4 - lower] = second
            for level in 1...4 {
              guest.host.setWord(plain[level - 1] | entries[4 - level].rawValue, at: places[level - 1])
            }
            for access in accesses {
              let found: UInt32?
              switch machine.processor.peek(GuestVirtual(Self.address), access).result {
              case .mapped: found = nil
              case .fault(let fault): found = fault.errorCode
              case .nestedFault: found = .max
              }
              if found != Self.errorCode(entries, controls, access) { wrong += 1 }
            }
          }
        }
      }
    }
    #expect(wrong == 0)
  }

  // MARK: Single rules

  @Test(arguments: [(4, 0x80 as UInt64), (3, 1 << 13), (3, 1 << 29), (2, 1 << 13), (2, 1 << 20)])
  func `PS in a PML4E and low address bits of a large page are reserved`(place: (level: Int, bit: UInt64)) {
    let size: PageSize = place.level == 4 ? .page4K : place.level == 3 ? .page1G : .page2M
    let machine = Self.machine(size)
    let entry = machine.guest.entry(Self.address, level: place.level)
    machine.guest.setEntry(Self.address, level: place.level, entry | place.bit)
    guard case .fault(let fault) = machine.processor.peek(GuestVirtual(Self.address), Access(.read, .supervisor)).result
    else {
      Issue.record("not refused")
      return
    }
    #expect(fault.errorCode == 9 && fault.level == place.level)
  }

  /// The fault of a supervisor's read, if any.
  private static func fault(_ machine: TinyMachine) -> PageFault? {
    guard case .fault(let fault) = machine.processor.peek(GuestVirtual(address), Access(.read, .supervisor)).result
    else { return nil }
    return fault
  }

  @Test func `an access across 4 GiB wraps outside 64-bit mode`() {
    let guest = GuestMemory {
      map(0, to: 0x2000, .writable)
      map(0x1000, to: 0x1000)
      map(0xffff_f000, to: 0x3000, .writable)
    }
    // mov eax, [ebx]; mov [ebx], ecx in compatibility mode, DS at 0x1000.
    let machine = TinyMachine(guest, code: [0x8b, 0x03, 0x89, 0x0b], at: 0x1000)
    machine.update { state in
      state[.cs].attributes = 0xc09b
      state[.ds].base = 0x1000
      state.slots[Int(Slot.rbx)] = 0xffff_effe
      state.slots[Int(Slot.rcx)] = 0x8877_6655
    }
    guest.write([0x11, 0x22], atPhysical: 0x3ffe)
    guest.write([0x33, 0x44], atPhysical: 0x2000)
    #expect(machine.run(2) == .limit)
    #expect(machine[Slot.rax] == 0x4433_2211)
    #expect(guest.word(atPhysical: 0x3ff8) >> 48 == 0x6655 && guest.word(atPhysical: 0x2000) & 0xffff == 0x8877)
  }

  @Test(arguments: [true, false]) func `PS in a PDPTE is reserved where there are no 1 GiB pages`(hasThem: Bool) {
    let guest = GuestMemory { map(Self.address, to: 0, size: .page1G) }
    let names = FeatureSet.known.map(\.name).filter { hasThem || $0 != "pdpe1gb" }
    let fault = Self.fault(TinyMachine(guest, features: FeatureSet(names: names)))
    #expect(hasThem ? fault == nil : fault?.errorCode == 9 && fault?.level == 3)
  }

  @Test(arguments: [Vendor.intel, .amd]) func `AMD reserves bit 8 above the page directory`(vendor: Vendor) {
    for level in 1...4 {
      let guest = GuestMemory { map(Self.address, to: 0x1000) }
      guest.setEntry(Self.address, level: level, guest.entry(Self.address, level: level) | 1 << 8)
      let fault = Self.fault(TinyMachine(guest, profile: .flat(vendor: vendor)))
      #expect(vendor == .amd && level >= 3 ? fault?.errorCode == 9 && fault?.level == UInt8(level) : fault == nil)
    }
    // In a PDPTE that maps a page it is G.
    let guest = GuestMemory { map(Self.address, to: 0, size: .page1G, .global) }
    #expect(Self.fault(TinyMachine(guest, profile: .flat(vendor: vendor))) == nil)
  }

  @Test(arguments: [PageSize.page2M, .page1G])
  func `PAT in bit 12 of a large page is not reserved`(size: PageSize) {
    let machine = Self.machine(size)
    let entry = machine.guest.entry(Self.address, level: size.level)
    machine.guest.setEntry(Self.address, level: size.level, entry | 1 << 12)
    guard
      case .mapped(let mapping) = machine.processor.peek(GuestVirtual(Self.address), Access(.read, .supervisor)).result
    else {
      Issue.record("refused")
      return
    }
    #expect(mapping.physical.rawValue == 0x800_0000 & ~size.offsetMask)
  }

  @Test(arguments: [36, 39, 46, 52] as [UInt64])
  func `address bits from MAXPHYADDR up to 51 are reserved`(bits: UInt64) {
    let guest = GuestMemory { map(Self.address, to: 0x1000) }
    let machine = TinyMachine(guest, profile: .flat([.physicalBits: bits]))
    for level in 1...4 {
      let entry = guest.entry(Self.address, level: level)
      for bit in 30..<52 as Range<UInt64> {
        guest.setEntry(Self.address, level: level, entry | 1 << bit)
        let isReserved: Bool
        if case .fault(let fault) = machine.processor.peek(GuestVirtual(Self.address), Access(.read, .supervisor))
          .result
        {
          // An address beyond memory leads to a table of ones, which is refused one level on.
          isReserved = fault.errorCode & PageFault.Code.reserved != 0 && fault.level == level
        } else {
          isReserved = false
        }
        #expect(isReserved == (bit >= bits), "bit \(bit) at level \(level)")
      }
      guest.setEntry(Self.address, level: level, entry)
    }
  }
}
