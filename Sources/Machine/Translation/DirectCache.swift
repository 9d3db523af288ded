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
  /// One bit for each context whose table may hold verdicts.
  private var used = 0

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

  /// The table for a context: 0 supervisor held back by SMAP, 1 supervisor, 2 user.
  @inline(__always) func table(_ context: Int) -> UnsafeMutablePointer<DirectEntry> {
    storage + context &* DirectCache.entries
  }

  /// The table that never hits.
  var nothing: UnsafeMutablePointer<DirectEntry> { storage + DirectCache.contexts * DirectCache.entries }

  /// The place for an address's verdict in the table of a context.
  @inline(__always) mutating func place(
    for address: UInt64, context: Int, _ table: UnsafeMutablePointer<DirectEntry>
  ) -> UnsafeMutablePointer<DirectEntry> {
    used |= 1 &<< context
    return table + DirectCache.index(address)
  }

  @inline(__always) static func index(_ address: UInt64) -> Int { Int((address >> 12) & UInt64(entries - 1)) }

  /// Drops every verdict.
  mutating func clear() {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      let table = table(context)
      for index in 0..<DirectCache.entries { drop(table + index) }
    }
    used = 0
  }

  /// Drops the verdicts that mirror a TLB way. A small page has one place in each table; a large one can be anywhere.
  @inline(__always) func clear(stamp: UnsafeMutablePointer<UInt64>, smallPage number: UInt64?) {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      if let number {
        let entry = table(context) + Int(number & UInt64(DirectCache.entries - 1))
        if entry.pointee.stamp == stamp { drop(entry) }
      } else {
        clearAll(of: stamp, in: table(context))
      }
    }
  }

  @inline(never) private func clearAll(
    of stamp: UnsafeMutablePointer<UInt64>, in table: UnsafeMutablePointer<DirectEntry>
  ) {
    for index in 0..<DirectCache.entries where table[index].stamp == stamp { drop(table + index) }
  }

  /// Takes write permission away from every page whose bytes begin at a host pointer: from now on they hold decoded
  /// code.
  func forbidWrites(toPageAt host: UInt64) {
    for index in 0..<DirectCache.entries * DirectCache.contexts
    where storage[index].writeTag != DirectEntry.never && storage[index].writeTag &+ storage[index].addend == host {
      storage[index].writeTag = DirectEntry.never
    }
  }

  @inline(__always) private func drop(_ entry: UnsafeMutablePointer<DirectEntry>) {
    entry.pointee.readTag = DirectEntry.never
    entry.pointee.writeTag = DirectEntry.never
    entry.pointee.stamp = dummy
  }
}

/// What verdicts depend on besides the privilege that selects their table.
struct VerdictBasis: Equatable {
  var tag: UInt64 = .max
  var controls: PagingControls?
}
