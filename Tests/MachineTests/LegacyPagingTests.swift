import Machine
import Support
import Testing

/// A processor in 32-bit protected mode over tables of 32-bit or PAE paging that are written by a few lines here.
private struct LegacyMachine {
  /// Guest-physical. The first page directory and table map the first 2 MiB to themselves, for the user.
  static let root: UInt64 = 0x30_0000
  static let directory: UInt64 = 0x30_1000
  static let firstTable: UInt64 = 0x30_2000
  static let otherDirectory: UInt64 = 0x30_3000
  static let table: UInt64 = 0x30_4000
  /// What the tests are about: 4 MiB from here.
  static let address: UInt64 = 0x7040_0000

  let machine: TinyMachine
  let isNarrow: Bool

  init(
    narrow: Bool, nested: Bool = false, vendor: Vendor = .intel, figures: [CostKey: UInt64] = [:], without: String = ""
  ) {
    isNarrow = narrow
    let guest = nested ? GuestMemory(hostPage: .page4K, isExtended: vendor == .intel) {} : GuestMemory {}
    let names = FeatureSet.known.map(\.name).filter { $0 != without }
    machine = TinyMachine(
      guest, profile: .flat(figures, vendor: vendor), features: FeatureSet(names: names))
    for page in UInt64(0)..<512 { set(Self.firstTable, page, page << 12 | 0x67) }
    if narrow {
      set(Self.root, 0, Self.firstTable | 0x27)
    } else {
      guest.setWord(Self.directory | 1, atPhysical: Self.root)
      guest.setWord(Self.otherDirectory | 1, atPhysical: Self.root + 8)
      set(Self.directory, 0, Self.firstTable | 0x27)
    }
    machine.update { state in
      state.efer = 0
      state.cr3 = Self.root
      state.cr4 = narrow ? CR4.pageSizeExtensions : CR4.physicalAddressExtension
      state.directoryPointers = DirectoryPointers(Self.directory | 1, Self.otherDirectory | 1)
    }
    enterRing(0)
  }

  private func set(_ table: UInt64, _ number: UInt64, _ value: UInt64) {
    let width: UInt64 = isNarrow ? 4 : 8
    machine.guest.write(
      (0..<Int(width)).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }, atPhysical: table + number * width)
  }

  /// The address of the directory entry, or the table entry, for `address` and what lies behind it.
  static func place(_ level: Int, _ address: UInt64, narrow: Bool) -> UInt64 {
    switch (narrow, level) {
    case (true, 2): root + (address >> 22) * 4
    case (true, _): table + (address >> 12 & 1023) * 4
    case (false, 2): otherDirectory + (address >> 21 & 511) * 8
    case (false, _): table + (address >> 12 & 511) * 8
    }
  }

  func setEntry(_ level: Int, _ address: UInt64, _ value: UInt64) {
    let place = Self.place(level, address, narrow: isNarrow)
    let width = isNarrow ? 4 : 8
    machine.guest.write(
      (0..<width).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }, atPhysical: place)
  }

  func entry(_ level: Int, _ address: UInt64) -> UInt64 {
    let word = machine.guest.word(atPhysical: Self.place(level, address, narrow: isNarrow))
    return isNarrow ? word & 0xffff_ffff : word
  }

  func enterRing(_ cpl: UInt8) {
    machine.enterRing(cpl)
    machine.update { state in
      // The level stays, L gives way to D.
      state[.cs].attributes = state[.cs].attributes & ~0x2000 | 0x4000
    }
  }

  func fault(_ address: UInt64, _ access: Access = Access(.read, .supervisor)) -> PageFault? {
    guard case .fault(let fault) = machine.processor.peek(GuestVirtual(address), access).result else { return nil }
    return fault
  }

  func mapping(_ address: UInt64) -> Mapping? {
    guard case .mapped(let mapping) = machine.processor.peek(GuestVirtual(address), Access(.read, .supervisor)).result
    else { return nil }
    return mapping
  }
}

/// 32-bit and PAE paging (SDM vol. 3, 4.3 and 4.4).
struct LegacyPagingTests {
  typealias Bits = PermissionTests.Bits
  typealias Controls = PermissionTests.Controls
  private static let address = LegacyMachine.address

  // MARK: Permissions

  /// Every combination of the bits of both entries with every setting of the control bits, as instructions meet them.
  @Test(arguments: [true, false], [true, false])
  func `accesses fault or pass, and set A and D, by the manual's rules`(narrow: Bool, large: Bool) {
    let legacy = LegacyMachine(narrow: narrow)
    let machine = legacy.machine
    machine.processor.enter(VMControls(paging: .native, intercepts: .pageFaults, vpid: 0))
    let target: UInt64 = 0x20_0000
    // At 0x1000 and 0x1010: mov al, [ebx]; mov [ebx], al. On the page: nop.
    machine.guest.write([0x8a, 0x03], atPhysical: 0x1000)
    machine.guest.write([0x88, 0x03], atPhysical: 0x1010)
    machine.guest.write([0x90], atPhysical: target + 0x100)
    let offset = narrow && large ? target : 0
    let plain: [UInt64] = [
      large ? (narrow ? 0 : target) | 0x80 : LegacyMachine.table, large ? 0 : target,
    ]
    let kinds: [Bits] = narrow ? Bits.all.filter { $0.rawValue >> 32 == 0 } : Bits.all
    var wrong = 0

    func check(_ entries: [Bits], _ controls: Controls, _ kind: AccessKind, _ cpl: UInt8) {
      for (index, bits) in entries.enumerated() {
        legacy.setEntry(2 - index, Self.address, plain[index] | bits.rawValue)
      }
      legacy.enterRing(cpl)
      machine.update { state in
        let mode = state.cr4 & (CR4.pageSizeExtensions | CR4.physicalAddressExtension)
        controls.apply(to: &state)
        state.cr4 = state.cr4 & ~CR4.physicalAddressExtension | mode
        state.slots[Int(Slot.rbx)] = Self.address + offset + 0x200
        state.rip = kind == .fetch ? Self.address + offset + 0x100 : kind == .read ? 0x1000 : 0x1010
        // The code is a user's, and so no supervisor's to execute with SMEP.
        if kind != .fetch && cpl == 0 { state.cr4 &= ~CR4.smep }
      }
      var effective = controls
      if narrow { effective.noExecute = false }
      if kind != .fetch && cpl == 0 { effective.smep = false }
      let access = Access(kind, cpl == 3 ? .user : .supervisor)
      let expected = PermissionTests.errorCode(entries, effective, access)
      var found: UInt32?
      if case .exit(let exit) = machine.run(1) { found = exit.errorCode }
      var isRight = found == expected
      for (index, bits) in entries.enumerated() {
        var now = bits.rawValue
        if expected == nil { now |= index == entries.count - 1 && kind == .write ? 0x60 : 0x20 }
        isRight = isRight && legacy.entry(2 - index, Self.address) == plain[index] | now
      }
      if !isRight {
        wrong += 1
        if wrong < 5 {
          Issue.record(
            "\(kind) at CPL \(cpl), \(controls), \(entries): \(String(describing: found)), not \(expected ?? 0)")
        }
      }
    }

    withEvery(kinds, Controls.all, AccessKind.allCases, [0, 3] as [UInt8]) { bits, controls, kind, cpl in
      if large {
        check([bits], controls, kind, cpl)
      } else {
        check([bits, .permissive], controls, kind, cpl)
        check([.permissive, bits], controls, kind, cpl)
        if narrow {
          for other in kinds { check([bits, other], controls, kind, cpl) }
        }
      }
    }
    #expect(wrong == 0)
  }

  @Test(arguments: [36, 38, 46] as [UInt64], [true, false])
  func `a page of 4 MiB has its address in two parts, and what is between them is reserved`(
    physicalBits: UInt64, hasThem: Bool
  ) {
    let legacy = LegacyMachine(narrow: true, figures: [.physicalBits: physicalBits], without: hasThem ? "" : "pse36")
    let used = hasThem ? min(physicalBits, 40) - 32 : 0
    for bit in UInt64(12)...31 {
      legacy.setEntry(2, Self.address, 1 << bit | 0x81)
      let isReserved = bit <= 21 && bit >= 13 + used && bit != 12
      #expect((legacy.fault(Self.address)?.errorCode == 9) == isReserved, "bit \(bit)")
      guard !isReserved else { continue }
      let base: UInt64 = bit == 12 ? 0 : bit < 22 ? 1 << (bit + 19) : 1 << bit
      #expect(legacy.mapping(Self.address + 0x31_2345)?.physical == GuestPhysical(base + 0x31_2345), "bit \(bit)")
    }
    // Without CR4.PSE it is the address of a table, and nothing is reserved.
    legacy.machine.update { $0.cr4 = 0 }
    legacy.setEntry(2, Self.address, LegacyMachine.table | 0x81)
    legacy.setEntry(1, Self.address, 0x1081)
    #expect(legacy.mapping(Self.address)?.physical == GuestPhysical(0x1000))
  }

  @Test func `PAE reserves bits 62 to 52 and those from MAXPHYADDR up`() {
    let legacy = LegacyMachine(narrow: false, figures: [.physicalBits: 40])
    for level in 1...2 {
      for bit in UInt64(36)...63 {
        legacy.setEntry(2, Self.address, LegacyMachine.table | 1 | (level == 2 ? 1 << bit : 0))
        legacy.setEntry(1, Self.address, 0x1001 | (level == 1 ? 1 << bit : 0))
        legacy.machine.update { $0.efer = EFER.noExecute }
        let fault = legacy.fault(Self.address)
        let isReserved = (40...62).contains(bit)
        #expect(((fault?.errorCode ?? 0) & 8 != 0 && fault?.level == UInt8(level)) == isReserved, "bit \(bit)")
        legacy.machine.update { $0.efer = 0 }
        if bit == 63 { #expect(legacy.fault(Self.address)?.errorCode == 9) }
      }
    }
  }

  @Test func `protection keys are those of four and five levels only`() {
    for narrow in [true, false] {
      let legacy = LegacyMachine(narrow: narrow)
      legacy.machine.update { state in
        state.cr4 |= CR4.protectionKeys | CR4.supervisorKeys
        state.pkru = .max
        state.pkrs = .max
      }
      legacy.setEntry(2, Self.address, LegacyMachine.table | 7)
      legacy.setEntry(1, Self.address, 0x1007)
      #expect(legacy.fault(Self.address) == nil)
    }
  }

  // MARK: References

  /// References of the first dimension and of the second of one cold load.
  private func references(_ legacy: LegacyMachine, _ address: UInt64 = address) -> [UInt64] {
    let machine = legacy.machine
    machine[Slot.rbx] = address
    machine.update { $0.rip = 0x1000 }
    machine.guest.write([0x90, 0x8a, 0x03], atPhysical: 0x1000)
    #expect(machine.run(1) == .limit)
    let before = machine.processor.counters
    #expect(machine.run(1) == .limit)
    let after = machine.processor.counters
    return [
      after.firstReferences[2] - before.firstReferences[2], after.secondReferences[2] - before.secondReferences[2],
    ]
  }

  @Test func `a walk reads two entries, and one for a large page`() {
    for narrow in [true, false] {
      let legacy = LegacyMachine(narrow: narrow)
      legacy.setEntry(2, Self.address, LegacyMachine.table | 0x27)
      legacy.setEntry(1, Self.address, 0x1027)
      #expect(references(legacy) == [2, 0])
      legacy.setEntry(2, Self.address, 0xa7)
      #expect(references(legacy) == [1, 0])
    }
  }

  /// (2 + 1)(4 + 1) - 1; AMD's processors read the PDPTE of a nested guest too (APM vol. 2, 15.25.10).
  @Test(arguments: [true, false], [Vendor.intel, .amd])
  func `a nested walk translates every table and the page`(narrow: Bool, vendor: Vendor) {
    let legacy = LegacyMachine(narrow: narrow, nested: true, vendor: vendor)
    legacy.setEntry(2, Self.address, LegacyMachine.table | 0x27)
    legacy.setEntry(1, Self.address, 0x1027)
    let levels: UInt64 = !narrow && vendor == .amd ? 3 : 2
    #expect(references(legacy) == [levels, (levels + 1) * 4])
  }

  @Test func `AMD's processors find a PDPTE's reserved bits in the walk under nested paging`() {
    let legacy = LegacyMachine(narrow: false, nested: true, vendor: .amd)
    legacy.machine.guest.setWord(LegacyMachine.otherDirectory | 3, atPhysical: LegacyMachine.root + 8)
    #expect(
      legacy.fault(Self.address)
        == PageFault(
          address: GuestVirtual(Self.address), errorCode: 9, level: 3, entry: LegacyMachine.otherDirectory | 3))
    legacy.machine.guest.setWord(0, atPhysical: LegacyMachine.root + 8)
    #expect(legacy.fault(Self.address)?.errorCode == 0)
  }

  // MARK: TLBs and paging-structure caches

  @Test func `a PDE of 32-bit paging is cached once for all of its 4 MiB`() {
    for (narrow, expected) in [(true, 1 as UInt64), (false, 2)] {
      let legacy = LegacyMachine(narrow: narrow, figures: [.pscPDE: 8])
      for half: UInt64 in [0, 0x20_0000] {
        legacy.setEntry(2, Self.address + half, LegacyMachine.table | 0x27)
        legacy.setEntry(1, Self.address + half, 0x1027)
      }
      #expect(references(legacy) == [2, 0])
      #expect(references(legacy, Self.address + 0x20_0000) == [expected, 0])
      #expect(references(legacy, Self.address + 0x1000 - 0x1000) == [1, 0])
    }
  }

  @Test func `a page of 4 MiB is two entries of a TLB, which INVLPG drops together`() {
    let legacy = LegacyMachine(narrow: true, figures: .commonTLBs)
    let machine = legacy.machine
    legacy.setEntry(2, Self.address, 0xa7)
    // mov al, [ebx]; mov al, [ecx]; mov al, [ebx]; mov al, [ecx]; invlpg [edx]; mov al, [ebx]; mov al, [ecx].
    machine.guest.write(
      [0x8a, 0x03, 0x8a, 0x01, 0x8a, 0x03, 0x8a, 0x01, 0x0f, 0x01, 0x3a, 0x8a, 0x03, 0x8a, 0x01], atPhysical: 0x1000)
    machine.update { state in
      state.rip = 0x1000
      state.slots[Int(Slot.rbx)] = Self.address + 0x1000
      state.slots[Int(Slot.rcx)] = Self.address + 0x20_1000
      state.slots[Int(Slot.rdx)] = Self.address + 0x30_0000
    }
    var walks: [UInt64] = []
    for _ in 0..<7 {
      let before = machine.processor.counters.walks
      machine.run(1)
      walks.append(machine.processor.counters.walks - before)
    }
    // The first takes one for the code too.
    #expect(walks == [2, 1, 0, 0, 0, 1, 1])
  }

  // MARK: PDPTEs

  @Test func `MOV to CR3 loads PDPTEs for the price of a reference, and refuses reserved bits`() {
    let legacy = LegacyMachine(narrow: false, figures: [.cacheMemory: 100, .loadCR3: 7])
    let machine = legacy.machine
    machine.installHandlers(mapped: false)
    // mov cr3, eax
    machine.guest.write([0x90, 0x0f, 0x22, 0xd8, 0x0f, 0x22, 0xd8], atPhysical: 0x1000)
    machine.update { $0.rip = 0x1000 }
    machine[Slot.rax] = 0x30_8000
    machine.guest.setWord(LegacyMachine.directory | 1, atPhysical: 0x30_8000)
    machine.guest.setWord(0x1e6, atPhysical: 0x30_8008)
    machine.guest.setWord(LegacyMachine.otherDirectory | 0xe19, atPhysical: 0x30_8018)
    machine.run(1)
    let before = machine.processor.ledger
    machine.run(1)
    let spent = machine.processor.ledger.since(before)
    #expect(spent[.walkGuest] == 100 && spent[.loadCR3] == 7)
    let loaded = DirectoryPointers(LegacyMachine.directory | 1, 0x1e6, 0, LegacyMachine.otherDirectory | 0xe19)
    #expect(machine.processor.state.directoryPointers == loaded)
    for bit: UInt64 in [1, 2, 5, 6, 7, 8, 46, 63] {
      machine.guest.setWord(1 | 1 << bit, atPhysical: 0x30_8010)
      machine.update { state in
        state.rip = 0x1004
        state.isShutDown = false
      }
      machine.run(1)
      // There is nothing to deliver it through.
      #expect(machine.processor.recentlyRaised.contains { $0.exception == .generalProtection(0) })
      #expect(machine.processor.state.directoryPointers == loaded, "bit \(bit)")
    }
  }
}
