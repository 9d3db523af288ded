/// Finds every shadow entry that maps a guest frame, and every one that leads to a shadow page (KVM: rmap and
/// `parent_ptes`).
///
/// An entry is known by its *slot*: 512 times its shadow page's index plus its index in the page. Since a slot is in
/// one list at most, the lists are threaded through tables by slot: nothing is allocated, and an entry is removed
/// without a search.
///
/// Invariant: every present shadow entry is in exactly one list, that of what it maps; no other slot is in any.
struct ReverseMap {
  /// The first slot of each list, -1 for none: guest frames, then pages of 2 MiB and of 1 GiB, then shadow pages, then,
  /// under agile paging, guest frames again.
  private var heads: ContiguousArray<Int32>
  private var next: ContiguousArray<Int32> = []
  /// The slot before; of the first one of a list -1.
  private var previous: ContiguousArray<Int32> = []
  private let frames: Int
  private let first2M: Int
  private let first1G: Int
  private let firstPage: Int
  private let firstSwitch: Int

  init(guestFrames: UInt64, shadowPages: Int, hasSwitches: Bool = false) {
    frames = Int(guestFrames)
    first2M = frames
    first1G = first2M + frames >> 9 + 1
    firstPage = first1G + frames >> 18 + 1
    firstSwitch = firstPage + shadowPages
    heads = ContiguousArray(repeating: -1, count: firstSwitch + (hasSwitches ? frames : 0))
  }

  /// The list of the leaf entries of a level that map a guest frame.
  func list(mapping gfn: UInt64, level: Int) -> Int {
    switch level {
    case 1: Int(gfn)
    case 2: first2M + Int(gfn >> 9)
    default: first1G + Int(gfn >> 18)
    }
  }

  /// The list of the entries that lead to a shadow page.
  func list(leadingTo page: Int) -> Int { firstPage + page }

  /// The list of the entries behind which the walk goes on in a table of the guest's.
  func list(switchingTo gfn: UInt64) -> Int { firstSwitch + Int(gfn) }

  func first(_ list: Int) -> Int { Int(heads[list]) }
  func next(_ slot: Int) -> Int { Int(next[slot]) }

  /// The slots of a list, for checks.
  func slots(_ list: Int) -> [Int] {
    var slots: [Int] = []
    var slot = first(list)
    while slot >= 0 && slots.count <= next.count {
      slots.append(slot)
      slot = next(slot)
    }
    return slots
  }

  /// Whether a slot is in a list, for checks.
  func contains(_ slot: Int, in list: Int) -> Bool {
    var (at, seen) = (first(list), 0)
    while at >= 0 && seen <= next.count {
      if at == slot { return true }
      (at, seen) = (next(at), seen + 1)
    }
    return false
  }

  /// Makes room for the slots of a shadow page.
  mutating func reserve(page: Int) {
    while next.count < (page + 1) * 512 {
      next.append(contentsOf: repeatElement(-1, count: 512))
      previous.append(contentsOf: repeatElement(-1, count: 512))
    }
  }

  mutating func insert(_ slot: Int, into list: Int) {
    let head = heads[list]
    next[slot] = head
    previous[slot] = -1
    if head >= 0 { previous[Int(head)] = Int32(slot) }
    heads[list] = Int32(slot)
  }

  mutating func remove(_ slot: Int, from list: Int) {
    let (before, after) = (previous[slot], next[slot])
    if before >= 0 { next[Int(before)] = after } else { heads[list] = after }
    if after >= 0 { previous[Int(after)] = before }
    next[slot] = -1
    previous[slot] = -1
  }
}
