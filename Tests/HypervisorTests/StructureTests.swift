import Machine
import Testing

@testable import Hypervisor

@Suite struct FrameAllocatorTests {
  @Test func `frame 0 is never given out, and what is given back comes first`() {
    var frames = FrameAllocator(capacity: 16 << 12)
    let first = frames.allocate(guestFrame: 7)
    #expect(first?.address == HostPhysical(0x1000) && first?.isRecycled == false)
    let second = frames.allocate(.shadow(level: 1), number: 1)
    #expect(second?.address == HostPhysical(0x2000))
    frames.release(HostPhysical(0x1000))
    let again = frames.allocate(.nested(level: 4), number: 2)
    #expect(again?.address == HostPhysical(0x1000) && again?.isRecycled == true)
    #expect(frames.owner(of: HostPhysical(0x1234)) == (.nestedTable, 2))
  }

  @Test func `frames are accounted by use`() {
    var frames = FrameAllocator(capacity: 64 << 12)
    for number in UInt64(0)..<5 { _ = frames.allocate(guestFrame: number) }
    let table = frames.allocate(.shadow(level: 1), number: 0)?.address
    _ = frames.allocate(.nested(level: 4), number: 0)
    #expect(frames.guestFrames == 5)
    #expect(frames.tables == 2)
    if let table { frames.release(table) }
    frames.release(HostPhysical(0x3f000))
    #expect(frames.tables == 1)
    #expect(frames.peakTables == 2)
  }

  @Test func `large runs are aligned and never overlap single frames`() {
    var frames = FrameAllocator(capacity: 5 << 20)
    let runs = [0, 512].map { frames.allocateRun(.page2M, firstGuestFrame: $0) }
    #expect(runs == [HostPhysical(2 << 20), nil])
    #expect(frames.owner(of: HostPhysical(2 << 20 + 0x5678)) == (.guest, 5))
    var seen: Set<UInt64> = []
    while let frame = frames.allocate(.shadow(level: 1), number: 0)?.address {
      #expect(frame.rawValue < 2 << 20 || frame.rawValue >= 4 << 20)
      let (isNew, _) = seen.insert(frame.rawValue)
      #expect(isNew)
    }
    #expect(seen.count == 511 + 256)
  }
}

@Suite struct ReverseMapTests {
  @Test func `slots are found by what they map and removed without a search`() {
    var map = ReverseMap(guestFrames: 2048, shadowPages: 4)
    map.reserve(page: 1)
    let small = map.list(mapping: 600, level: 1)
    let large = map.list(mapping: 600, level: 2)
    #expect(small != large && large == map.list(mapping: 1023, level: 2) && large != map.list(mapping: 1024, level: 2))
    for slot in [3, 512, 700] { map.insert(slot, into: small) }
    map.insert(9, into: map.list(leadingTo: 1))
    #expect(map.slots(small) == [700, 512, 3])
    map.remove(512, from: small)
    #expect(map.slots(small) == [700, 3])
    map.remove(700, from: small)
    map.remove(3, from: small)
    #expect(map.slots(small) == [])
    #expect(map.slots(map.list(leadingTo: 1)) == [9])
  }
}

@Suite struct ShadowRoleTests {
  private func role(cr0: UInt64 = CR0.paging | CR0.writeProtect, cr4: UInt64 = 0, efer: UInt64 = 0) -> ShadowRole {
    ShadowRole(.init(cr0: cr0, cr3: 0, cr4: cr4, efer: efer | EFER.longModeActive))
  }

  @Test func `a root's role has level 4 and every permission`() {
    #expect(role().level == 4 && role().access == .all && !role().isDirect)
    #expect(role(cr0: 0).isDirect)
  }

  @Test func `with LA57 a root has five levels, unless the guest does not page`() {
    #expect(role(cr4: CR4.la57).level == 5 && role(cr4: CR4.la57).addressBits == 57)
    #expect(role(cr0: 0, cr4: CR4.la57).level == 4)
  }

  private func legacy(cr4: UInt64, efer: UInt64 = 0) -> ShadowRole {
    ShadowRole(.init(cr0: CR0.paging | CR0.writeProtect, cr3: 0, cr4: cr4, efer: efer))
  }

  @Test func `32-bit and PAE paging begin with page directories behind PDPTEs`() {
    let (narrow, pae) = (legacy(cr4: 0), legacy(cr4: CR4.physicalAddressExtension))
    #expect(narrow.isNarrow && !pae.isNarrow && !narrow.isPAE && pae.isPAE)
    for role in [narrow, pae] { #expect(role.level == 2 && role.hardwareLevels == 3) }
    #expect(narrow != legacy(cr4: CR4.pageSizeExtensions))
    #expect(pae == legacy(cr4: CR4.physicalAddressExtension | CR4.pageSizeExtensions))
    // 32-bit paging has no XD.
    #expect(narrow == legacy(cr4: 0, efer: EFER.noExecute))
    #expect(pae != legacy(cr4: CR4.physicalAddressExtension, efer: EFER.noExecute))
    #expect(narrow.reserves(1 << 63) == false && pae.reserves(1 << 63) && pae.reserves(1 << 52))
    #expect(role(efer: EFER.noExecute).reserves(1 << 63 | 1 << 52) == false)
  }

  @Test func `quadrants divide the entries of a table of 1024 among shadow pages`() {
    let wide = role()
    #expect((0..<512).allSatisfy { wide.entries(of: $0) == $0..<$0 + 1 && wide.guestEntry(of: $0) == $0 })
    let directory = legacy(cr4: 0)
    let table = directory.child(direct: false, access: .all)
    for (parent, quadrants, width) in [(directory, 4, 2), (table, 2, 1)] {
      var found: [Int: Int] = [:]
      for quadrant in 0..<quadrants {
        var part = parent
        part.quadrant = quadrant
        #expect(part.level == parent.level && part.access == parent.access)
        for guestEntry in 0..<1024 {
          let entries = part.entries(of: guestEntry)
          #expect(entries.isEmpty || entries.count == width)
          for entry in entries {
            #expect(part.guestEntry(of: entry) == guestEntry)
            found[quadrant * 512 + entry] = guestEntry
          }
        }
      }
      #expect(found.count == quadrants * 512)
      #expect((0..<quadrants * 512).allSatisfy { found[$0] == $0 / width })
    }
  }

  @Test func `SMEP and SMAP matter only without WP`() {
    #expect(role(cr4: CR4.smep | CR4.smap) == role())
    #expect(role(cr0: CR0.paging, cr4: CR4.smep) != role(cr0: CR0.paging))
    #expect(role(cr0: CR0.paging, cr4: CR4.smap) != role(cr0: CR0.paging, cr4: CR4.smep))
    #expect(role(efer: EFER.noExecute) != role())
  }

  @Test func `without paging no mode matters`() {
    #expect(role(cr0: 0, cr4: CR4.smep, efer: EFER.noExecute) == role(cr0: CR0.writeProtect))
  }

  @Test func `a child is a level below with the access it is given`() {
    let access = PagePermissions(writable: false, user: true, executable: false)
    let child = role().child(direct: true, access: access)
    #expect(child.level == 3 && child.isDirect && child.access == access && child.writeProtect)
    #expect(child.child(direct: false, access: .all).isDirect == false)
  }
}

@Suite struct ShadowPoolTests {
  private let role = ShadowRole(.init(cr0: CR0.paging, cr3: 0, cr4: 0, efer: EFER.longModeActive))

  @Test func `a frame is guarded while it has a shadow page that is not direct`() {
    var pool = ShadowPool(guestFrames: 1024, limit: 8)
    let leaf = role.child(direct: false, access: .all)
    let direct = role.child(direct: true, access: .all)
    let news = [(700, role), (700, leaf), (701, direct)].map { (gfn: UInt64, role: ShadowRole) in
      pool.insert(ShadowPage(gfn: gfn, role: role, table: HostPhysical(0x1000)))
    }
    #expect(news == [true, false, false])
    #expect(pool.isGuarded(700) && !pool.isGuarded(701))
    #expect(pool.isGuarded(600, .page2M) && !pool.isGuarded(100, .page2M) && pool.isGuarded(0, .page1G))
    #expect(pool.find(700, leaf) == 1 && pool.find(700, direct) == nil && pool.find(5000, role) == nil)
    pool.remove(0)
    #expect(pool.isGuarded(700))
    pool.remove(1)
    #expect(!pool.isGuarded(700) && !pool.isGuarded(600, .page2M))
    #expect(pool.find(701, direct) == 2)
  }

  @Test func `the page used longest ago is the oldest`() {
    var pool = ShadowPool(guestFrames: 16, limit: 8)
    for gfn in UInt64(0)..<4 { _ = pool.insert(ShadowPage(gfn: gfn, role: role, table: HostPhysical(gfn << 12))) }
    pool.use(0)
    pool.use(2)
    #expect(Array(pool.live) == [2, 0, 3, 1])
    pool.remove(0)
    pool.remove(1)
    #expect(Array(pool.live) == [2, 3] && pool.oldest == 3 && pool.newest == 2)
    _ = pool.insert(ShadowPage(gfn: 9, role: role, table: HostPhysical(0)))
    #expect(pool.nextIndex == 0 && pool.find(9, role) == 1)
  }
}

@Suite struct ShadowRootsTests {
  private func key(_ gfn: UInt64, pcid: UInt16 = 0) -> RootKey {
    RootKey(gfn: gfn, role: ShadowRole(.init(cr0: CR0.paging, cr3: 0, cr4: 0, efer: EFER.longModeActive)), pcid: pcid)
  }

  private func one(_ page: Int) -> RootPages {
    var pages = RootPages()
    pages.append(page)
    return pages
  }

  @Test func `the root used longest ago makes room, and its tag starts empty`() {
    var roots = ShadowRoots(capacity: 2)
    for (page, gfn) in [UInt64(10), 20].enumerated() {
      let position = roots.insert(key(gfn), pages: one(page))
      roots.use(position, for: key(gfn))
      let due = [roots.takeFlush(), roots.takeFlush()]
      #expect(due == [true, false])
    }
    roots.use(0, for: key(10))
    let isDue = roots.takeFlush()
    #expect(!isDue)
    let position = roots.insert(key(30), pages: one(2))
    #expect(position == 1 && roots.find(key(20)) == nil)
    roots.use(1, for: key(30))
    let isDueNow = roots.takeFlush()
    #expect(isDueNow)
  }

  @Test func `a flush of a root waits until it is in use`() {
    var roots = ShadowRoots(capacity: 3)
    for (page, pcid) in [UInt16(1), 2, 1].enumerated() {
      roots.use(roots.insert(key(UInt64(page), pcid: pcid), pages: one(page)), for: key(UInt64(page), pcid: pcid))
      _ = roots.takeFlush()
    }
    for position in [0, 2] { roots.flush(position) }
    var due = [roots.takeFlush()]
    roots.use(1, for: key(1, pcid: 2))
    due.append(roots.takeFlush())
    roots.use(0, for: key(0, pcid: 1))
    due.append(roots.takeFlush())
    #expect(due == [true, false, true])
  }
}

@Suite struct ShadowEntryTests {
  @Test func `entries have A set, and D with W, and never G`() {
    for writable in [false, true] {
      for user in [false, true] {
        for executable in [false, true] {
          let access = PagePermissions(writable: writable, user: user, executable: executable)
          let entry = ShadowEntry(mapping: HostPhysical(0x7000), access, level: 2)
          #expect(entry.permissions == access && entry.frame == HostPhysical(0x7000) && entry.isLeaf(level: 2))
          #expect(entry.rawValue & EntryBit.accessed != 0 && entry.rawValue & EntryBit.global == 0)
          #expect((entry.rawValue & EntryBit.dirty != 0) == writable)
          #expect(!entry.readOnly.isWritable && entry.readOnly.rawValue & EntryBit.dirty == 0)
        }
      }
    }
    #expect(ShadowEntry(leadingTo: HostPhysical(0x9000)).permissions == .all)
  }
}
