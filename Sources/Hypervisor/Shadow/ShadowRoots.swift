import Machine

/// What a root is found by when the guest loads CR3.
struct RootKey: Equatable {
  /// The frame of the guest's top table; 0 without paging, and under PAE paging, where `pointers` name four tables.
  var gfn: UInt64
  var pointers = DirectoryPointers()
  var role: ShadowRole
  /// 0 without CR4.PCIDE.
  var pcid: UInt16

  /// Whether the guest does not page. Under agile paging nothing is shadowed then.
  var isUnpaged: Bool { role.isDirect }

  /// Under agile paging: whether nested tables have a part in what is translated by the root.
  var isCombined: Bool { role.mayNest || isUnpaged }

  /// Whether it is of the same guest table, or tables, whatever the guest's mode.
  func hasTables(of other: RootKey) -> Bool { gfn == other.gfn && pointers == other.pointers }

  /// How many shadow pages make the root: four where addresses have 32 bits, a page directory for each GiB (KVM:
  /// `pae_root`).
  var parts: Int { role.isNarrow || role.isPAE ? 4 : 1 }

  /// What one of them shadows; nil where the guest has no table.
  func part(_ number: Int) -> (gfn: UInt64, role: ShadowRole)? {
    var role = role
    if role.isPAE {
      let pointer = pointers[number]
      return pointer & EntryBit.present == 0 ? nil : ((pointer & EntryBit.frameMask) >> 12, role)
    }
    role.quadrant = number
    return (gfn, role)
  }
}

/// The shadow pages that make a root, by index, as many as its key has parts; -1 where there is none: the guest has
/// no table, or the hardware begins in it, or does without.
///
/// It is a plain value: roots are looked at in every exit.
struct RootPages: RandomAccessCollection, ExpressibleByArrayLiteral {
  private var pages = InlineArray<4, Int32>(repeating: -1)
  private(set) var endIndex = 0
  var startIndex: Int { 0 }

  init(arrayLiteral pages: Int...) {
    for page in pages { append(page) }
  }

  subscript(part: Int) -> Int { Int(pages[part]) }

  mutating func append(_ page: Int) {
    pages[endIndex] = Int32(page)
    endIndex += 1
  }

  /// The one that an address is translated through; -1 for none.
  func page(for address: GuestVirtual) -> Int { self[count == 1 ? 0 : DirectoryPointers.number(for: address)] }
}

/// The roots that are kept beside one another, so that a guest that goes back to an address space finds its shadow
/// tables, and with PCIDs its TLB entries too.
///
/// Each has a TLB tag of its own, its position plus one. A flush that is asked for a root not in use waits until it is
/// used again.
///
/// Invariant: of the root in use no flush is outstanding when the hardware is entered.
struct ShadowRoots {
  struct Root {
    var key: RootKey
    var pages: RootPages
    var lastUse: UInt64
    var needsFlush: Bool
    /// Whether pages below that are out of step have to be brought into it.
    var needsSync = false
  }

  private(set) var slots: [Root?]
  /// The position of the root in use; nil: the empty table.
  private(set) var current: Int?
  /// What was last selected, empty table or not.
  private(set) var selected: RootKey?
  private var time: UInt64 = 0
  /// Counts changes of what is cached and of which flushes are due.
  private(set) var changes: UInt64 = 0

  init(capacity: Int) { slots = Array(repeating: nil, count: min(max(capacity, 1), 4094)) }

  /// The page of the root in use that an address is translated through.
  func page(for address: GuestVirtual) -> Int? {
    guard let current, let page = slots[current]?.pages.page(for: address), page >= 0 else { return nil }
    return page
  }

  /// Whether a shadow page belongs to the root in use.
  func isInUse(_ page: Int) -> Bool {
    guard let current, let root = slots[current] else { return false }
    return root.pages.contains(page)
  }

  static func tag(_ position: Int) -> UInt16 { UInt16(position + 1) }
  static func position(_ tag: UInt16) -> Int { Int(tag) - 1 }

  /// The position of a cached root.
  func find(_ key: RootKey) -> Int? { slots.firstIndex { $0?.key == key } }

  /// Makes a cached root the one in use.
  mutating func use(_ position: Int, for key: RootKey) {
    time += 1
    slots[position]?.lastUse = time
    current = position
    selected = key
  }

  /// Makes the empty table the root in use.
  mutating func useNone(for key: RootKey) {
    current = nil
    selected = key
  }

  /// Where the next root will be: in the place of the one used longest ago, unless one is free.
  var place: Int {
    slots.firstIndex { $0 == nil }
      ?? slots.indices.min { (slots[$0]?.lastUse ?? 0) < (slots[$1]?.lastUse ?? 0) } ?? 0
  }

  /// Caches a root in the place of the one used longest ago, whose TLB entries must go before its tag is used.
  mutating func insert(_ key: RootKey, pages: RootPages) -> Int {
    let position = place
    slots[position] = Root(key: key, pages: pages, lastUse: time, needsFlush: true)
    changes += 1
    return position
  }

  /// Forgets the cached roots of a shadow page that is going away.
  mutating func forget(page: Int) {
    for position in slots.indices where slots[position]?.pages.contains(page) == true { forget(position) }
  }

  /// Forgets the cached roots that begin in a guest's own table.
  ///
  /// - Returns: whether there were any.
  mutating func forget(guestTable gfn: UInt64) -> Bool {
    var hasForgotten = false
    for position in slots.indices where begins(position, in: gfn) {
      forget(position)
      hasForgotten = true
    }
    return hasForgotten
  }

  /// Whether a cached root begins in a guest's own table.
  func hasRoot(guestTable gfn: UInt64) -> Bool { slots.indices.contains { begins($0, in: gfn) } }

  private func begins(_ position: Int, in gfn: UInt64) -> Bool {
    guard let root = slots[position], !root.key.isUnpaged else { return false }
    return root.pages.indices.contains { root.pages[$0] < 0 && root.key.part($0)?.gfn == gfn }
  }

  mutating func forget(_ position: Int) {
    slots[position] = nil
    changes += 1
    guard current == position else { return }
    current = nil
    selected = nil
  }

  // MARK: Flushes

  mutating func flushAll() {
    for position in slots.indices { slots[position]?.needsFlush = true }
    changes += 1
  }

  mutating func flush(_ position: Int) {
    slots[position]?.needsFlush = true
    changes += 1
  }

  /// Nothing that was made for any root, or for those that are meant, is left.
  mutating func flushesDone(where isMeant: (Root) -> Bool = { _ in true }) {
    for position in slots.indices where slots[position].map(isMeant) ?? false { slots[position]?.needsFlush = false }
    changes += 1
  }

  mutating func demandSync(_ position: Int) { slots[position]?.needsSync = true }

  /// Whether the root in use has to be flushed.
  var owesFlush: Bool {
    guard let current else { return false }
    return slots[current]?.needsFlush == true
  }

  /// The same; asked once.
  mutating func takeFlush() -> Bool {
    guard let current, owesFlush else { return false }
    slots[current]?.needsFlush = false
    changes += 1
    return true
  }

  /// Whether what the root in use leads to has to be brought into step; asked once.
  mutating func takeSync() -> Bool {
    guard let current, slots[current]?.needsSync == true else { return false }
    slots[current]?.needsSync = false
    return true
  }
}

extension Hypervisor {
  private func rootKey(_ registers: Processor.PagingRegisters) -> RootKey {
    let mode = registers.mode
    return RootKey(
      gfn: mode == .off || mode == .pae ? 0 : (registers.cr3 & EntryBit.frameMask) >> 12,
      pointers: mode == .pae ? registers.directoryPointers : DirectoryPointers(), role: ShadowRole(registers),
      pcid: registers.cr4 & CR4.pcid != 0 ? UInt16(registers.cr3 & 0xfff) : 0)
  }

  /// Makes the root for the guest's registers the one in use, if it is not yet.
  ///
  /// - Returns: whether it was another one.
  func selectRoot(isCharged: Bool = true) -> Bool {
    let key = rootKey(processor.pagingRegisters)
    guard key != roots.selected else { return false }
    if agile != nil { followMode(key) }
    isCharging = isCharged
    defer { isCharging = true }
    lockTables()
    // A table outside memory reads as ones: every access faults, which the software walk finds out.
    guard key.role.isDirect || key.role.isPAE || guest.isMemory(GuestPhysical(key.gfn << 12)) else {
      roots.useNone(for: key)
      controls.paging = .shadow(.init(root: shadows.emptyTable, levels: key.role.hardwareLevels, tag: 0))
      return true
    }
    var position = roots.find(key)
    if position == nil {
      // The old root is not in use any more, and may be dropped for the new one.
      roots.useNone(for: key)
      if !policy.sharesPages { dropRoot(roots.place) }
      guard let pages = rootPages(key) else { return true }
      position = roots.insert(key, pages: pages)
    } else {
      work(.shadowRoot, .lookup)
    }
    guard let position, let root = roots.slots[position] else { return true }
    roots.use(position, for: key)
    for page in root.pages where page >= 0 { shadows.pool.use(page) }
    controls.paging = .shadow(hardwareRoot(root, tag: ShadowRoots.tag(position)))
    return true
  }

  /// The shadow pages that make a root, made if need be; nil when that was impossible.
  private func rootPages(_ key: RootKey) -> RootPages? {
    var pages: RootPages = []
    if agile != nil && key.isUnpaged { return [-1] }
    for number in 0..<key.parts {
      // A page directory outside memory reads as ones, which the software walk finds out.
      guard let (gfn, role) = key.part(number), role.isDirect || guest.isMemory(GuestPhysical(gfn << 12)) else {
        pages.append(-1)
        continue
      }
      startNested(gfn, role, level: role.level)
      // The hardware begins in the guest's own table.
      guard !role.mayNest || nestedTable(gfn) == nil else {
        letWalksWrite(gfn)
        pages.append(-1)
        continue
      }
      guard let page = shadowPage(gfn, role, for: .shadowRoot) else { return nil }
      // The next part must not make room by it.
      shadows.pool.use(page)
      pages.append(page)
    }
    return pages
  }

  func hardwareRoot(_ root: ShadowRoots.Root, tag: UInt16) -> VMControls.ShadowPaging {
    func table(_ page: Int) -> HostPhysical { shadows.pool[page].table }
    var paging = VMControls.ShadowPaging(root: shadows.emptyTable, levels: root.key.role.hardwareLevels, tag: tag)
    if agile != nil && root.key.isCombined { paging.nested = nested?.plan }
    if agile != nil && root.key.isUnpaged {
      paging.isUnpaged = true
      return paging
    }
    guard root.pages.count == 4 else {
      if root.pages[0] >= 0 {
        paging.root = table(root.pages[0])
      } else if let table = nestedTable(root.key.gfn) {
        paging.root = table
        paging.isGuestRoot = true
      }
      return paging
    }
    func pointer(_ number: Int) -> UInt64 {
      if root.pages[number] >= 0 { return table(root.pages[number]).rawValue | EntryBit.present }
      guard let part = root.key.part(number), let table = nestedTable(part.gfn) else { return 0 }
      return table.rawValue | EntryBit.present | EntryBit.switching
    }
    paging.directoryPointers = DirectoryPointers(pointer(0), pointer(1), pointer(2), pointer(3))
    return paging
  }

  /// Follows a write to CR0, CR4 or EFER: another root, and the flushes that the write stands for (SDM vol. 3,
  /// 4.10.4.1).
  func followControls(_ before: Processor.PagingRegisters) {
    let after = processor.pagingRegisters
    let changed4 = before.cr4 ^ after.cr4
    let wasTurnedOff = before.cr0 & ~after.cr0 & CR0.paging != 0
    if wasTurnedOff || changed4 & CR4.pageGlobal != 0 || changed4 & before.cr4 & CR4.pcid != 0 {
      flushForGuest()
    } else if changed4 & CR4.physicalAddressExtension != 0 || changed4 & after.cr4 & CR4.smep != 0 {
      flushForGuest(pcid: rootKey(after).pcid)
    }
    _ = selectRoot()
  }

  /// MOV to CR3 drops the translations of the new PCID, unless it says otherwise. Roots of the same PCID that are not
  /// in use are flushed when they are used again.
  func followCR3(noFlush: Bool) {
    _ = selectRoot()
    let registers = processor.pagingRegisters
    if registers.cr4 & CR4.pcid != 0 && noFlush || mutated("cr3-without-flush") { return }
    flushForGuest(pcid: rootKey(registers).pcid)
  }

  /// Flushes the root in use before an entry, where that is due.
  func flushCurrentRoot() {
    guard let current = roots.current, roots.takeFlush() else { return }
    // Without tags every exit has flushed already.
    guard costs.hasTaggedTLB else { return }
    processor.flushContext(pcid: ShadowRoots.tag(current))
    counted.tlbFlush &+= 1
    work(.flush, .flushAll)
  }
}
