import Machine

/// A shadow page-table entry (spte): an ordinary entry of IA-32e paging that holds host-physical addresses.
///
/// Rules, which `checkInvariants` checks:
/// - A is always set, and D with W: the hardware never has to set them, and what the guest sees of its own A and D bits
///   comes from walks of its tables.
/// - A leaf is writable only if the guest's leaf has D set, and only if no frame that it maps is a shadowed table.
/// - What the rules say of the guest's entries, of a page that may be stale was true when the entry was made.
/// - An entry that leads to a shadow page permits everything; what the guest's upper entries permit is in the leaf, so
///   that one fault finds it.
/// - A leaf has the guest's protection key, so that the hardware checks PKRU and IA32_PKRS as they stand: writes of
///   theirs need no exit.
/// - An entry behind which the walk goes on in the guest's own table (agile paging) holds that table's host address, and
///   permits what the guest's entries down to it permit together.
/// - G is never set: each root has a TLB tag of its own.
struct ShadowEntry: Equatable {
  let rawValue: UInt64

  static let none = ShadowEntry(rawValue: 0)

  init(rawValue: UInt64) { self.rawValue = rawValue }

  /// An entry that maps guest memory.
  init(mapping host: HostPhysical, _ access: PagePermissions, level: Int) {
    var bits = EntryBit.present | EntryBit.accessed
    if access.writable { bits |= EntryBit.writable | EntryBit.dirty }
    if access.user { bits |= EntryBit.user }
    if !access.executable { bits |= EntryBit.noExecute }
    if !mutated("entry-without-key") { bits |= UInt64(access.key) << EntryBit.keyShift }
    if level > 1 { bits |= EntryBit.large }
    rawValue = host.rawValue & EntryBit.frameMask | bits
  }

  /// An entry that leads to a shadow page.
  init(leadingTo table: HostPhysical) {
    rawValue =
      table.rawValue & EntryBit.frameMask | EntryBit.present | EntryBit.accessed | EntryBit.writable | EntryBit.user
  }

  /// An entry behind which the walk goes on in a table of the guest's.
  init(switchingTo table: HostPhysical, _ access: PagePermissions) {
    var bits = EntryBit.present | EntryBit.accessed | EntryBit.switching
    if access.writable { bits |= EntryBit.writable }
    if access.user { bits |= EntryBit.user }
    if !access.executable { bits |= EntryBit.noExecute }
    rawValue = table.rawValue & EntryBit.frameMask | bits
  }

  var isSwitching: Bool { rawValue & EntryBit.switching != 0 }
  var isPresent: Bool { rawValue & EntryBit.present != 0 }
  var isWritable: Bool { rawValue & EntryBit.writable != 0 }
  var frame: HostPhysical { HostPhysical(rawValue & EntryBit.frameMask) }

  func isLeaf(level: Int) -> Bool { level == 1 || rawValue & EntryBit.large != 0 }
  /// Whether it leads to a shadow page.
  func isLink(level: Int) -> Bool { isPresent && !isLeaf(level: level) && !isSwitching }

  /// The same entry without permission to write.
  var readOnly: ShadowEntry { ShadowEntry(rawValue: rawValue & ~(EntryBit.writable | EntryBit.dirty)) }

  /// Whether a change of the entry takes something away: the page, or a permission.
  func loses(by new: ShadowEntry) -> Bool {
    guard isPresent else { return false }
    return !new.isPresent || new.frame != frame || new.permissions & permissions != permissions
  }

  var permissions: PagePermissions {
    PagePermissions(
      writable: isWritable, user: rawValue & EntryBit.user != 0, executable: rawValue & EntryBit.noExecute == 0,
      key: UInt8(truncatingIfNeeded: rawValue >> EntryBit.keyShift & 15))
  }
}

extension Hypervisor {
  /// The slot of a shadow page that an address is translated by.
  func slot(of page: Int, for address: GuestVirtual) -> Int {
    page << 9 | Int(address.rawValue >> (3 + 9 * UInt64(shadows.pool[page].role.level)) & 511)
  }

  /// The shadow entry in a slot.
  func entry(_ slot: Int) -> ShadowEntry { ShadowEntry(rawValue: memory.word(at: entryAddress(slot))) }

  private func entryAddress(_ slot: Int) -> HostPhysical {
    shadows.pool[slot >> 9].table.advanced(by: UInt64(slot & 511) * 8)
  }

  /// Changes a shadow entry: there is no other place that does. The reverse map follows here, and so does the count of
  /// present entries.
  ///
  /// It does not flush: an entry that is taken away because of what the guest wrote is the guest's to invalidate, and
  /// whoever takes more than that says so (`ShadowRoots.flushAll`).
  ///
  /// - Parameter cause: what the work is charged to.
  func change(_ slot: Int, to new: ShadowEntry, for cause: Cause) {
    let at = entryAddress(slot)
    let old = ShadowEntry(rawValue: memory.word(at: at))
    guard old != new else { return }
    let level = shadows.pool[slot >> 9].role.level
    let before = list(of: old, level: level)
    let after = list(of: new, level: level)
    if before != after {
      if before >= 0 {
        shadows.rmap.remove(slot, from: before)
        shadows.pool[slot >> 9].present -= 1
        if old.isLink(level: level) { noteUnlink(slot) }
      }
      if after >= 0 {
        if !mutated("reverse-map-loses") { shadows.rmap.insert(slot, into: after) }
        shadows.pool[slot >> 9].present += 1
        if new.isLink(level: level) {
          let child = Int(allocator.owner(of: new.frame).number)
          noteLink(slot, to: child)
          if shadows.pool[child].leadsToPieces { notePieces(below: slot >> 9) }
        }
      }
    }
    memory.setWord(new.rawValue, at: at)
    if old.isPresent && old.isLeaf(level: level) && old.isWritable && !(before == after && new.isWritable) {
      shadows.lostWrites.note(allocator.owner(of: old.frame).number, level: level)
    }
    if !new.isPresent {
      shadows.entriesRemoved &+= 1
      work(cause, .zap)
    } else if new == old.readOnly {
      shadows.entriesProtected &+= 1
      work(cause, .protect)
    } else {
      shadows.entriesMade &+= 1
      work(cause, .fill)
    }
    if !policy.sharesPages && before != after && old.isLink(level: level) {
      zap(Int(allocator.owner(of: old.frame).number))
    }
  }

  /// The list of the reverse map to which an entry belongs; -1 where it is not present.
  func list(of entry: ShadowEntry, level: Int) -> Int {
    guard entry.isPresent else { return -1 }
    let number = allocator.owner(of: entry.frame).number
    if entry.isSwitching { return shadows.rmap.list(switchingTo: number) }
    return entry.isLeaf(level: level)
      ? shadows.rmap.list(mapping: number, level: level) : shadows.rmap.list(leadingTo: Int(number))
  }
}
