import Machine

/// All shadow pages, found by guest frame and role.
///
/// KVM hashes (gfn, role); here a flat table by guest frame does the same without a collision, since the frames are
/// known and few roles share one.
///
/// Invariants: `guards[gfn]` is the number of live pages that are not direct and have that gfn; the pages in order of
/// use are exactly the live ones.
struct ShadowPool {
  /// By index; the dead ones are in `unused`.
  private(set) var pages: ContiguousArray<ShadowPage> = []
  private var unused: ContiguousArray<Int32> = []
  /// By guest frame: its first shadow page, -1 for none.
  private var first: ContiguousArray<Int32>
  /// By guest frame: how many shadow pages keep it write-protected.
  private var guards: ContiguousArray<UInt16>
  /// By 2 MiB, and by 1 GiB: guarded frames in it.
  private var guardedIn2M: ContiguousArray<UInt16>
  private var guardedIn1G: ContiguousArray<UInt32>
  /// The pages used last, and longest ago.
  private(set) var newest: Int32 = -1
  private(set) var oldest: Int32 = -1
  private(set) var count = 0
  /// The most pages at a time.
  let limit: Int

  /// The bound that the options ask for. One instruction can need some eight pages at once (code and two operands
  /// across pages, or an event's descriptors and stack), each by a path of its own; with fewer shadow pages than that
  /// they would push each other out for ever; and so would several processors.
  static func limit(_ options: HypervisorOptions, guestFrames: UInt64, processors: Int) -> Int {
    max(options.shadowPages ?? max(Int(guestFrames / 50), 64), 32 * max(processors, 1))
  }

  init(guestFrames: UInt64, limit: Int) {
    self.limit = limit
    first = ContiguousArray(repeating: -1, count: Int(guestFrames))
    guards = ContiguousArray(repeating: 0, count: Int(guestFrames))
    guardedIn2M = ContiguousArray(repeating: 0, count: Int(guestFrames >> 9) + 1)
    guardedIn1G = ContiguousArray(repeating: 0, count: Int(guestFrames >> 18) + 1)
  }

  subscript(page: Int) -> ShadowPage {
    _read { yield pages[page] }
    _modify { yield &pages[page] }
  }

  var isFull: Bool { count >= limit }

  // MARK: Finding

  /// The shadow page of a frame with a role.
  func find(_ gfn: UInt64, _ role: ShadowRole) -> Int? {
    var next = firstPage(of: gfn)
    while next >= 0 {
      if pages[next].role == role { return next }
      next = Int(pages[next].nextOfFrame)
    }
    return nil
  }

  /// The first shadow page of a frame, -1 for none; the others follow by `nextOfFrame`.
  func firstPage(of gfn: UInt64) -> Int {
    gfn < UInt64(first.count) ? Int(first[Int(gfn)]) : -1
  }

  /// Whether a frame is a shadowed table, which no shadow entry may let the guest write.
  func isGuarded(_ gfn: UInt64) -> Bool { gfn < UInt64(guards.count) && guards[Int(gfn)] != 0 }

  /// Whether there is a shadowed table in the page of a size that holds a frame.
  func isGuarded(_ gfn: UInt64, _ size: PageSize) -> Bool {
    switch size {
    case .page4K: isGuarded(gfn)
    case .page2M: gfn >> 9 < UInt64(guardedIn2M.count) && guardedIn2M[Int(gfn >> 9)] != 0
    case .page1G: gfn >> 18 < UInt64(guardedIn1G.count) && guardedIn1G[Int(gfn >> 18)] != 0
    }
  }

  /// Every live page, newest first.
  var live: some Sequence<Int> {
    sequence(first: Int(newest)) { [pages] in Int(pages[$0].older) }.prefix(while: { $0 >= 0 })
  }

  // MARK: Making and dropping

  /// The index that the next page will have.
  var nextIndex: Int { unused.last.map(Int.init) ?? pages.count }

  /// Adds a page, the most recently used. Its frame must be one that exists.
  ///
  /// - Returns: whether its guest frame has become guarded.
  mutating func insert(_ page: ShadowPage) -> Bool {
    let index = nextIndex
    var page = page
    page.nextOfFrame = first[Int(page.gfn)]
    if unused.popLast() != nil { pages[index] = page } else { pages.append(page) }
    first[Int(page.gfn)] = Int32(index)
    count += 1
    link(index)
    guard !page.role.isDirect else { return false }
    guards[Int(page.gfn)] += 1
    guard guards[Int(page.gfn)] == 1 else { return false }
    guardedIn2M[Int(page.gfn >> 9)] += 1
    guardedIn1G[Int(page.gfn >> 18)] += 1
    return true
  }

  mutating func remove(_ index: Int) {
    let page = pages[index]
    if firstPage(of: page.gfn) == index {
      first[Int(page.gfn)] = page.nextOfFrame
    } else {
      var before = firstPage(of: page.gfn)
      while pages[before].nextOfFrame != Int32(index) { before = Int(pages[before].nextOfFrame) }
      pages[before].nextOfFrame = page.nextOfFrame
    }
    unlink(index)
    pages[index].isLive = false
    unused.append(Int32(index))
    count -= 1
    guard !page.role.isDirect else { return }
    guards[Int(page.gfn)] -= 1
    guard guards[Int(page.gfn)] == 0 else { return }
    guardedIn2M[Int(page.gfn >> 9)] -= 1
    guardedIn1G[Int(page.gfn >> 18)] -= 1
  }

  // MARK: Order of use

  /// Makes a page the one used last: a fault has gone through it.
  mutating func use(_ index: Int) {
    pages[index].idleWrites = 0
    guard newest != Int32(index) else { return }
    unlink(index)
    link(index)
  }

  private mutating func link(_ index: Int) {
    pages[index].newer = -1
    pages[index].older = newest
    if newest >= 0 { pages[Int(newest)].newer = Int32(index) } else { oldest = Int32(index) }
    newest = Int32(index)
  }

  private mutating func unlink(_ index: Int) {
    let page = pages[index]
    if page.newer >= 0 { pages[Int(page.newer)].older = page.older } else { newest = page.older }
    if page.older >= 0 { pages[Int(page.older)].newer = page.newer } else { oldest = page.newer }
  }
}
