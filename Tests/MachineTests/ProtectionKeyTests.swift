import Machine
import Support
import Testing

/// Protection keys of user pages (PKRU) and of supervisor pages (IA32_PKRS): SDM vol. 3, 4.6.2 and 4.7.
struct ProtectionKeyTests {
  static let address: UInt64 = 0x7f00_0000_0000
  /// By key, from the lowest two bits: nothing, AD, WD, both; and nothing, both, WD, AD. What the processor needs for
  /// itself has key 0.
  static let pkru: UInt32 = 0b11_10_01_00
  static let pkrs: UInt32 = 0b01_10_11_00

  struct Controls {
    var writeProtect, smap, alignmentCheck, userKeys, supervisorKeys: Bool

    static let all: [Controls] = (0..<32).map { number in
      func bit(_ place: Int) -> Bool { (number >> place) & 1 != 0 }
      return Controls(
        writeProtect: bit(0), smap: bit(1), alignmentCheck: bit(2), userKeys: bit(3), supervisorKeys: bit(4))
    }

    func apply(to state: inout ProcessorState) {
      state.cr0 = state.cr0 & ~CR0.writeProtect | (writeProtect ? CR0.writeProtect : 0)
      state.cr4 =
        state.cr4 & ~(CR4.smap | CR4.protectionKeys | CR4.supervisorKeys) | (smap ? CR4.smap : 0)
        | (userKeys ? CR4.protectionKeys : 0) | (supervisorKeys ? CR4.supervisorKeys : 0)
      state.rflags = alignmentCheck ? Flag.alignmentCheck : 0
      state.pkru = ProtectionKeyTests.pkru
      state.pkrs = ProtectionKeyTests.pkrs
    }

    /// The rules without keys are those of `PermissionTests`.
    var others: PermissionTests.Controls {
      PermissionTests.Controls(
        writeProtect: writeProtect, smep: false, smap: smap, alignmentCheck: alignmentCheck, noExecute: true)
    }
  }

  /// The error code of the fault that an access makes to a page that is there; nil where it is allowed.
  static func errorCode(
    _ page: PermissionTests.Bits, key: Int, _ controls: Controls, _ access: Access
  ) -> UInt32? {
    let code = PermissionTests.errorCode([page], controls.others, access)
    let isUserPage = page.contains(.user)
    guard isUserPage ? controls.userKeys : controls.supervisorKeys, access.kind != .fetch else { return code }
    let rights = (isUserPage ? pkru : pkrs) >> UInt32(2 * key) & 3
    let isDenied =
      rights & 1 != 0
      || rights & 2 != 0 && access.kind == .write && (access.privilege == .user || controls.writeProtect)
    guard isDenied else { return code }
    // The key is told beside whatever else forbids the access.
    return (code ?? (1 | (access.kind == .write ? 2 : 0) | (access.privilege == .user ? 4 : 0))) | 1 << 5
  }

  static let pages: [PermissionTests.Bits] = (0..<8).map { number in
    var bits: PermissionTests.Bits = .present
    if number & 1 != 0 { bits.insert(.writable) }
    if number & 2 != 0 { bits.insert(.user) }
    if number & 4 != 0 { bits.insert(.noExecute) }
    return bits
  }

  @Test(arguments: PageSize.allCases, [4, 5])
  func `every page, key, setting and access is judged by the manual's rules`(size: PageSize, levels: Int) {
    let guest = GuestMemory(levels: levels) {
      map(Self.address, to: 0x4000_0000 & ~size.offsetMask, size: size, .writable, .user)
    }
    // What stands above may be user and writable, and its own bits 62:59 mean nothing.
    for level in size.level + 1...levels {
      guest.setEntry(Self.address, level: level, guest.entry(Self.address, level: level) | 7 | 9 << 59)
    }
    let machine = TinyMachine(guest)
    let plain = guest.entry(Self.address, level: size.level) & ~0x8000_0000_0000_0007
    let place = guest.tables.entry(Self.address, level: size.level)
    var wrong = 0
    for controls in Controls.all {
      machine.update { controls.apply(to: &$0) }
      withEvery(Self.pages, Array(0..<4)) { page, key in
        guest.host.setWord(plain | page.rawValue | UInt64(key) << 59, at: place)
        for kind in AccessKind.allCases {
          for privilege in Privilege.allCases where kind != .fetch || privilege != .implicitSupervisor {
            let access = Access(kind, privilege)
            let found: UInt32?
            switch machine.processor.peek(GuestVirtual(Self.address), access).result {
            case .mapped: found = nil
            case .fault(let fault): found = fault.errorCode
            case .nestedFault: found = .max
            }
            if found != Self.errorCode(page, key: key, controls, access) { wrong += 1 }
          }
        }
      }
    }
    #expect(wrong == 0)
  }

  /// Pages of every kind beside each other, so that TLBs and verdicts stay while the registers change.
  @Test func `what TLBs and the direct cache hold is judged by the keys as they stand`() {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x2000, to: 0x2000, .user)
    }
    for (number, page) in Self.pages.enumerated() {
      for key in UInt64(0)..<4 {
        let address = Self.address + (UInt64(number) << 2 | key) << 12
        guest.map(map(address, to: 0x10_0000, .writable, .user))
        let entry = guest.entry(address, level: 1) & ~0x8000_0000_0000_0007
        guest.setEntry(address, level: 1, entry | page.rawValue | key << 59)
        for level in 2...4 { guest.setEntry(address, level: level, guest.entry(address, level: level) | 7) }
      }
    }
    let machine = TinyMachine(guest, profile: .flat(.commonTLBs))
    machine.installHandlers()
    // mov al, [rbx]; mov [rbx], al.
    for (index, code) in [[0x8a, 0x03], [0x88, 0x03] as [UInt8]].enumerated() {
      guest.write(code, atPhysical: 0x1000 + UInt64(index) * 16)
      guest.write(code, atPhysical: 0x2000 + UInt64(index) * 16)
    }
    var wrong = 0
    for round in 0..<2 {
      for controls in Controls.all {
        withEvery(Array(0..<32), [0, 1], [0, 3] as [UInt8]) { number, write, cpl in
          machine.enterRing(cpl)
          machine.update { state in
            controls.apply(to: &state)
            state.isHalted = false
            state.slots[Int(Slot.rbx)] = Self.address + UInt64(number) << 12
            state.slots[Int(Slot.rsp)] = TinyMachine.Place.stack
            state.rip = (cpl == 3 ? 0x2000 : 0x1000) + UInt64(write) * 16
          }
          let access = Access(write == 1 ? .write : .read, cpl == 3 ? .user : .supervisor)
          let faults = machine.processor.counters.exceptions
          machine.run(1)
          let code = machine.processor.counters.exceptions == faults ? nil : machine.lastException?.errorCode
          if code != Self.errorCode(Self.pages[number >> 2], key: number & 3, controls, access) { wrong += 1 }
        }
      }
      if round == 0 { #expect(machine.processor.counters.dataMisses > 0) }
    }
    #expect(wrong == 0)
  }

  @Test func `WRPKRU denies an access that has just hit, and permits it again`() {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000, .user)
      map(Self.address, to: 0x2000, .writable, .user)
    }
    for level in 2...4 { guest.setEntry(Self.address, level: level, guest.entry(Self.address, level: level) | 7) }
    guest.setEntry(Self.address, level: 1, guest.entry(Self.address, level: 1) | 1 << 59)
    // mov [rbx], al; mov eax, 8; wrpkru; mov dl, [rbx]; mov dl, 0; mov eax, 0; wrpkru; mov [rbx], al;
    // mov eax, 4; wrpkru; rdpkru; mov dl, [rbx].
    let code: [UInt8] = [
      0x88, 0x03, 0xb8, 8, 0, 0, 0, 0x0f, 0x01, 0xef, 0x8a, 0x13, 0xb2, 0, 0xb8, 0, 0, 0, 0, 0x0f, 0x01, 0xef, 0x88,
      0x03, 0xb8, 4, 0, 0, 0, 0x0f, 0x01, 0xef, 0x0f, 0x01, 0xee, 0x8a, 0x13,
    ]
    let machine = TinyMachine(guest, code: code, at: 0x1000, cpl: 3, profile: .flat(.commonTLBs))
    machine.installHandlers()
    machine.update { state in
      state.cr4 |= CR4.protectionKeys
      state.slots[Int(Slot.rbx)] = Self.address
      state.slots[Int(Slot.rcx)] = 0
      state.slots[Int(Slot.rdx)] = 0
    }
    #expect(machine.run() == .haltedForEver)
    #expect(machine.lastException == GuestException(vector: 14, errorCode: 0x25, address: Self.address))
    #expect(machine[Slot.rax] == 4 && machine[Slot.rdx] == 0 && machine.processor.state.pkru == 4)
  }

  // MARK: Instructions and registers

  private func exception(_ code: [UInt8], cpl: UInt8 = 0, _ change: (inout ProcessorState) -> Void) -> UInt8? {
    let guest = GuestMemory { map(0x1000, to: 0x1000, .user) }
    for level in 2...4 { guest.setEntry(0x1000, level: level, guest.entry(0x1000, level: level) | 7) }
    let machine = TinyMachine(guest, code: code, at: 0x1000, cpl: cpl)
    machine.installHandlers()
    machine.update(change)
    machine.run(1)
    return machine.lastException?.vector
  }

  @Test(arguments: [[0x0f, 0x01, 0xee], [0x0f, 0x01, 0xef]] as [[UInt8]], [0, 3] as [UInt8])
  func `RDPKRU and WRPKRU want CR4.PKE and ECX clear, at every privilege`(code: [UInt8], cpl: UInt8) {
    #expect(exception(code, cpl: cpl) { _ in } == 6)
    #expect(exception(code, cpl: cpl) { $0.cr4 |= CR4.protectionKeys } == nil)
    let beyond: UInt8? = exception(code, cpl: cpl) {
      $0.cr4 |= CR4.protectionKeys
      $0.slots[Int(Slot.rcx)] = 1
    }
    #expect(beyond == 13)
    let high: UInt8? = exception(code, cpl: cpl) {
      $0.cr4 |= CR4.protectionKeys
      $0.slots[Int(Slot.rdx)] = 1
    }
    #expect(high == (code[2] == 0xef ? 13 : nil))
    // The upper halves of RCX and RDX do not count.
    let upper: UInt8? = exception(code, cpl: cpl) {
      $0.cr4 |= CR4.protectionKeys
      $0.slots[Int(Slot.rcx)] = 1 << 32
      $0.slots[Int(Slot.rdx)] = 1 << 32
    }
    #expect(upper == nil)
  }

  @Test func `IA32_PKRS has 32 bits, and is hidden with its feature`() {
    // mov ecx, 0x6e1; wrmsr
    let write: [UInt8] = [0x0f, 0x30]
    func wrmsr(_ low: UInt64, _ high: UInt64, hidden: Bool) -> (UInt8?, UInt32) {
      let guest = GuestMemory { map(0x1000, to: 0x1000) }
      let names = FeatureSet.known.map(\.name).filter { !hidden || $0 != "pks" }
      let machine = TinyMachine(guest, code: write, at: 0x1000, features: FeatureSet(names: names))
      machine.installHandlers()
      machine[Slot.rcx] = 0x6e1
      machine[Slot.rax] = low
      machine[Slot.rdx] = high
      machine.run(1)
      return (machine.lastException?.vector, machine.processor.state.pkrs)
    }
    #expect(wrmsr(0x1234_5678, 0, hidden: false) == (nil, 0x1234_5678))
    #expect(wrmsr(0, 1, hidden: false) == (13, 0))
    #expect(wrmsr(0, 0, hidden: true) == (13, 0))
  }

  @Test(arguments: [("pku", CR4.protectionKeys), ("pks", CR4.supervisorKeys)])
  func `CR4 has the bit where CPUID shows the feature`(feature: (name: String, bit: UInt64)) {
    for isHidden in [false, true] {
      let guest = GuestMemory { map(0x1000, to: 0x1000) }
      let names = FeatureSet.known.map(\.name).filter { !isHidden || $0 != feature.name }
      // mov cr4, rax; mov eax, 7; xor ecx, ecx; cpuid
      let machine = TinyMachine(
        guest, code: [0x0f, 0x22, 0xe0, 0xb8, 7, 0, 0, 0, 0x31, 0xc9, 0x0f, 0xa2], at: 0x1000,
        features: FeatureSet(names: names))
      machine.installHandlers()
      machine[Slot.rax] = CR4.physicalAddressExtension | feature.bit
      machine.run(4)
      #expect((machine.lastException?.vector == 13) == isHidden)
      guard !isHidden else { continue }
      // OSPKE follows CR4.PKE.
      #expect(machine[Slot.rcx] >> 4 & 1 == (feature.name == "pku" ? 1 : 0))
    }
  }
}
