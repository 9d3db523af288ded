import Machine

/// Which of the guest's tables are nested under agile paging (Gandhi et al., ISCA 2016).
///
/// Known are the topmost ones, to which switching entries lead, or where a root begins; what lies below them the hardware
/// walks too, and nobody keeps account of it.
///
/// Invariant: no frame is nested and guarded at once.
struct AgileState {
  /// What is known of one guest frame.
  private struct Frame {
    /// The interval in which it was last written as a guarded table, plus one; 0: never.
    var interval: UInt32 = 0
    /// What it cost in exits in that interval, in units of `Exits`.
    var units: UInt8 = 0
    /// The level of the table's entries while it is nested; 0: it is not.
    var level: UInt8 = 0
    /// It was nested, and went back.
    var cameBack = false
  }

  /// A nested table.
  struct Table: Equatable {
    var gfn: UInt64
    var level: Int
    /// How its entries were laid out when it went nested, whatever mode the processor is in that looks at them.
    var layout: EntryLayout
    /// What shadowing it again would cost, as last reckoned up; 0: not yet, or it was written since.
    var price: UInt64 = 0
  }

  private var frames: ContiguousArray<Frame>
  /// The nested tables, in the order in which they became so.
  var tables: [Table] = []
  /// Cycles between two looks.
  let interval: UInt64
  /// When the tables are looked at next; never while there are none.
  private(set) var nextLook = UInt64.max
  /// How many intervals after the last one.
  private var pause: UInt64 = 1
  /// Cycles spent on references to nested tables, less what was set against them when tables went back.
  var credit: UInt64 = 0
  /// What the processors' accounts said of such references at the last look, but those without paging, which no shadow
  /// would spare.
  var walked: UInt64 = 0

  init(guestFrames: UInt64, interval: UInt64) {
    frames = ContiguousArray(repeating: Frame(), count: Int(guestFrames))
    self.interval = max(interval, 1)
  }

  var count: Int { tables.count }

  /// Whether a table was nested before and is not any more.
  func cameBack(_ gfn: UInt64) -> Bool { gfn < UInt64(frames.count) && frames[Int(gfn)].cameBack }

  /// Lets a table begin anew.
  mutating func forget(_ gfn: UInt64) { if gfn < UInt64(frames.count) { frames[Int(gfn)].cameBack = false } }

  func isNested(_ gfn: UInt64) -> Bool { gfn < UInt64(frames.count) && frames[Int(gfn)].level != 0 }

  /// What a table costs in exits while it is shadowed.
  enum Exits {
    /// A write that is emulated.
    static let write: UInt8 = 8
    /// A page fault that is the guest's own.
    static let fault: UInt8 = 1
    /// With so many in an interval the table goes nested: with the second write (Agile, section III.C).
    static let limit: UInt8 = 16
  }

  /// Counts an exit on account of a guarded table.
  ///
  /// - Returns: whether there were too many in this interval.
  mutating func note(_ units: UInt8, _ gfn: UInt64, at clock: UInt64) -> Bool {
    guard gfn < UInt64(frames.count) else { return false }
    let now = UInt32(truncatingIfNeeded: clock / interval) &+ 1
    if frames[Int(gfn)].interval != now { (frames[Int(gfn)].interval, frames[Int(gfn)].units) = (now, 0) }
    frames[Int(gfn)].units = min(frames[Int(gfn)].units &+ units, Exits.limit)
    return frames[Int(gfn)].units >= Exits.limit
  }

  mutating func insert(_ table: Table, at clock: UInt64) {
    guard table.gfn < UInt64(frames.count), frames[Int(table.gfn)].level == 0 else { return }
    frames[Int(table.gfn)].level = UInt8(truncatingIfNeeded: table.level)
    frames[Int(table.gfn)].cameBack = false
    tables.append(table)
    scheduleLook(after: clock, isSettled: false)
  }

  mutating func remove(_ gfn: UInt64) -> Table? {
    guard isNested(gfn), let place = tables.firstIndex(where: { $0.gfn == gfn }) else { return nil }
    frames[Int(gfn)] = Frame(cameBack: true)
    return tables.remove(at: place)
  }

  mutating func postponeLook(after clock: UInt64) { nextLook = clock &+ interval }

  /// The longest time without a look, in intervals.
  private static let longestPause: UInt64 = 16

  /// Says when to look again: soon after a table has become nested or gone back, else after twice the time. It begins when
  /// the guest gets on: what was not written while the hypervisor looked tells nothing.
  mutating func scheduleLook(after clock: UInt64, isSettled: Bool) {
    pause = isSettled ? min(pause &* 2, AgileState.longestPause) : 1
    guard !tables.isEmpty else {
      nextLook = .max
      return
    }
    let next = clock &+ pause &* interval
    nextLook = isSettled ? next : min(next, nextLook)
  }
}
