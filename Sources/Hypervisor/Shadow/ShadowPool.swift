import Machine

/// All shadow pages, found by guest frame and role.
///
/// KVM hashes (gfn, role); here a flat table by guest frame does the same without a collision, since the frames are
/// known and few roles share one.
///
/// Invariants: `shadows[gfn]` is the number of live pages that are not direct and have that gfn, `guards[gfn]` the number
/// of those that are in step; both are 0 where tables are not guarded. The pages in order of use are exactly the live
/// ones.
struct ShadowPool {
  /// By index; the dead ones are in `unused`.
  private(set) var pages: ContiguousArray<ShadowPage> = []
  private var unused: ContiguousArray<Int32> = []
  /// By guest frame: its first shadow page, -1 for none.
  private var first: ContiguousArray<Int32>
  /// By guest frame: how many shadow pages keep it write-protected, now or once they are in step again.
  private var guards: ContiguousArray<UInt16>
  private var shadows: ContiguousArray<UInt16>
  /// By 2 MiB, and by 1 GiB: frames in it that are shadowed.
  private var shadowedIn2M: ContiguousArray<UInt16>
  private var shadowedIn1G: ContiguousArray<UInt32>
  /// The pages used last, and longest ago.
  private(set) var newest: Int32 = -1
  private(set) var oldest: Int32 = -1
  private(set) var count = 0
  /// Pages out of step, and which left it first; the order is kept only where it is asked for.
  private(set) var staleCount = 0
  private var outOfStep: [Int32] = []
  private let keepsOrderOutOfStep: Bool
  /// The most pages at a time.
  let limit: Int
  /// Whether shadowed tables are write-protected at all.
  let guardsTables: Bool

  /// The bound that the options ask for. One instruction can need some eight pages at once (code and two operands
  /// across pages, or an event's descriptors and stack), each by a path of its own; with fewer shadow pages than that
  /// they would push each other out for ever; and so would several processors.
  static func limit(_ options: HypervisorOptions, guestFrames: UInt64, processors: Int) -> Int {
    max(options.shadowPages ?? max(Int(guestFrames / 50), 64), 32 * max(processors, 1))
  }

  init(guestFrames: UInt64, limit: Int, guardsTables: Bool = true, keepsOrderOutOfStep: Bool = false) {
    self.limit = limit
    self.guardsTables = guardsTables
    self.keepsOrderOutOfStep = keepsOrderOutOfStep
    first = ContiguousArray(repeating: -1, count: Int(guestFrames))
    guards = ContiguousArray(repeating: 0, count: Int(guestFrames))
    shadows = guards
    shadowedIn2M = ContiguousArray(repeating: 0, count: Int(guestFrames >> 9) + 1)
    shadowedIn1G = ContiguousArray(repeating: 0, count: Int(guestFrames >> 18) + 1)
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

  /// Whether there is a shadowed table in the page of a size that holds a frame. A large page over one that is out of
  /// step would have to go when it comes back.
  func isGuarded(_ gfn: UInt64, _ size: PageSize) -> Bool {
    switch size {
    case .page4K: isGuarded(gfn)
    case .page2M: gfn >> 9 < UInt64(shadowedIn2M.count) && shadowedIn2M[Int(gfn >> 9)] != 0
    case .page1G: gfn >> 18 < UInt64(shadowedIn1G.count) && shadowedIn1G[Int(gfn >> 18)] != 0
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
    guard guardsTables, !page.role.isDirect else { return false }
    shadows[Int(page.gfn)] += 1
    if shadows[Int(page.gfn)] == 1 {
      shadowedIn2M[Int(page.gfn >> 9)] += 1
      shadowedIn1G[Int(page.gfn >> 18)] += 1
    }
    guards[Int(page.gfn)] += 1
    return guards[Int(page.gfn)] == 1
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
    guard guardsTables, !page.role.isDirect else { return }
    if page.mayBeStale { noLongerOutOfStep(index) } else { guards[Int(page.gfn)] -= 1 }
    shadows[Int(page.gfn)] -= 1
    guard shadows[Int(page.gfn)] == 0 else { return }
    shadowedIn2M[Int(page.gfn >> 9)] -= 1
    shadowedIn1G[Int(page.gfn >> 18)] -= 1
  }

  // MARK: Out of step

  /// A page guards its frame no more, and may become stale.
  mutating func leaveStep(_ index: Int) {
    guard !pages[index].mayBeStale else { return }
    pages[index].mayBeStale = true
    guards[Int(pages[index].gfn)] -= 1
    staleCount += 1
    if keepsOrderOutOfStep { outOfStep.append(Int32(index)) }
  }

  /// A page guards its frame again.
  ///
  /// - Returns: whether nothing else did.
  mutating func enterStep(_ index: Int) -> Bool {
    guard pages[index].mayBeStale else { return false }
    pages[index].mayBeStale = false
    noLongerOutOfStep(index)
    guards[Int(pages[index].gfn)] += 1
    return guards[Int(pages[index].gfn)] == 1
  }

  private mutating func noLongerOutOfStep(_ index: Int) {
    staleCount -= 1
    if let place = outOfStep.firstIndex(of: Int32(index)) { outOfStep.remove(at: place) }
  }

  /// The page that left step first, of those whose frames may come back.
  func firstOutOfStep(where mayComeBack: (_ gfn: UInt64) -> Bool) -> Int? {
    outOfStep.first { mayComeBack(pages[Int($0)].gfn) }.map(Int.init)
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
