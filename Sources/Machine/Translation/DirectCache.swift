/// The hit path's cache: for some pages of the first-level data TLB, where their bytes are in the host and which
/// accesses may go there now.
///
/// It is a *subset* of the modelled TLB. An entry is filled from a TLB way and dropped when that way is, so that a hit
/// here is a hit there, and the stamp it stores is the way's own LRU stamp: the model stays exact. A verdict holds for
/// one privilege only, so there is one table for each; dropping a verdict never changes the modelled entry.
struct DirectEntry {
  /// Linear address of the page where reads are allowed, else `DirectEntry.never`.
  var readTag: UInt64
  /// The same for writes: permitted, dirty, and no decoded code in the frame.
  var writeTag: UInt64
  /// Host address of the page's first byte less the linear address.
  var addend: UInt64
  /// The LRU stamp of the TLB way that it mirrors.
  var stamp: UnsafeMutablePointer<UInt64>

  /// No page-aligned address equals it.
  static let never: UInt64 = 1
}

/// The three tables of verdicts, and one that never hits for when every access has to be looked at.
struct DirectCache {
  static let entries = 256
  static let contexts = 3

  private let storage: UnsafeMutablePointer<DirectEntry>
  private let dummy: UnsafeMutablePointer<UInt64>
  /// One bit for each context whose table may hold verdicts, that of the context in use among them.
  private var used = 0
  private var selected = 0
  /// Whether tables besides the one in use may hold verdicts.
  private(set) var isShared = false

  init() {
    dummy = .allocate(capacity: 1)
    dummy.initialize(to: 0)
    let count = DirectCache.entries * (DirectCache.contexts + 1)
    storage = .allocate(capacity: count)
    storage.initialize(
      repeating: DirectEntry(readTag: DirectEntry.never, writeTag: DirectEntry.never, addend: 0, stamp: dummy),
      count: count)
  }

  func deallocate() {
    storage.deallocate()
    dummy.deallocate()
  }

  /// The table for a context, 0 supervisor held back by SMAP, 1 supervisor, 2 user, to be filled from now on.
  mutating func select(_ context: Int) -> UnsafeMutablePointer<DirectEntry> {
    selected = 1 &<< context
    used |= selected
    isShared = used != selected
    return table(context)
  }

  @inline(__always) private func table(_ context: Int) -> UnsafeMutablePointer<DirectEntry> {
    storage + context &* DirectCache.entries
  }

  /// The table that never hits.
  var nothing: UnsafeMutablePointer<DirectEntry> { storage + DirectCache.contexts * DirectCache.entries }

  @inline(__always) static func index(_ address: UInt64) -> Int { index(page: address >> 12) }
  @inline(__always) static func index(page number: UInt64) -> Int { Int(number & UInt64(entries - 1)) }

  /// Drops every verdict.
  mutating func clear() {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      let table = table(context)
      for index in 0..<DirectCache.entries { DirectCache.drop(table + index) }
    }
    used = selected
    isShared = false
  }

  /// Drops the verdicts that mirror the TLB way of a large page, which can be anywhere.
  func dropAll(ifOf stamp: UnsafeMutablePointer<UInt64>) {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      let table = table(context)
      for index in 0..<DirectCache.entries { DirectCache.drop(table + index, ifOf: stamp) }
    }
  }

  /// Drops the verdicts on a small page that mirror a TLB way.
  @inline(__always) func drop(page number: UInt64, ifOf stamp: UnsafeMutablePointer<UInt64>) {
    let index = DirectCache.index(page: number)
    DirectCache.drop(storage + index, ifOf: stamp)
    DirectCache.drop(storage + (DirectCache.entries &+ index), ifOf: stamp)
    DirectCache.drop(storage + (2 &* DirectCache.entries &+ index), ifOf: stamp)
  }

  /// Drops one verdict if it mirrors a TLB way.
  @inline(__always)
  static func drop(_ entry: UnsafeMutablePointer<DirectEntry>, ifOf stamp: UnsafeMutablePointer<UInt64>) {
    if entry.pointee.stamp == stamp { drop(entry) }
  }

  /// Takes write permission away from every page whose bytes begin at a host pointer: from now on they hold decoded
  /// code.
  func forbidWrites(toPageAt host: UInt64) {
    for index in 0..<DirectCache.entries * DirectCache.contexts
    where storage[index].writeTag != DirectEntry.never && storage[index].writeTag &+ storage[index].addend == host {
      storage[index].writeTag = DirectEntry.never
    }
  }

  /// The entry may go on naming its way: nobody stores a stamp there without a tag.
  @inline(__always) private static func drop(_ entry: UnsafeMutablePointer<DirectEntry>) {
    entry.pointee.readTag = DirectEntry.never
    entry.pointee.writeTag = DirectEntry.never
  }
}

/// What verdicts depend on besides the privilege that selects their table.
struct VerdictBasis: Equatable {
  var tag: UInt64 = .max
  var controls: PagingControls?
}
