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

  /// Where the byte at an address of the page is.
  @inline(__always) func place(of address: UInt64) -> UnsafeRawPointer? {
    UnsafeRawPointer(bitPattern: UInt(addend &+ address))
  }

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
  /// The table in use, where no other may hold verdicts.
  private var only: UnsafeMutablePointer<DirectEntry>?

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
    only = used == selected ? table(context) : nil
    return table(context)
  }

  @inline(__always) private func table(_ context: Int) -> UnsafeMutablePointer<DirectEntry> {
    storage + context &* DirectCache.entries
  }

  /// The table that never hits.
  var nothing: UnsafeMutablePointer<DirectEntry> { storage + DirectCache.contexts * DirectCache.entries }

  @inline(__always) static func index(_ address: UInt64) -> Int { Int((address >> 12) & UInt64(entries - 1)) }

  /// Drops every verdict.
  mutating func clear() {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      let table = table(context)
      for index in 0..<DirectCache.entries { drop(table + index) }
    }
    used = selected
    only = selected == 0 ? nil : table(selected.trailingZeroBitCount)
  }

  /// Drops the verdicts that mirror a TLB way. A small page has one place in each table; a large one can be anywhere.
  @inline(__always) func clear(stamp: UnsafeMutablePointer<UInt64>, smallPage number: UInt64?) {
    if let number {
      let index = Int(number & UInt64(DirectCache.entries - 1))
      guard let only else { return clear(stamp: stamp, at: index) }
      if only[index].stamp == stamp { drop(only + index) }
    } else {
      for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
        clearAll(of: stamp, in: table(context))
      }
    }
  }

  @inline(never) private func clear(stamp: UnsafeMutablePointer<UInt64>, at index: Int) {
    for context in 0..<DirectCache.contexts where used & 1 &<< context != 0 {
      let entry = table(context) + index
      if entry.pointee.stamp == stamp { drop(entry) }
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
