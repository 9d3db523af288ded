import Machine

/// Traces: writes to guarded guest tables are emulated, and the shadow entries follow them (AA06 2.4 and 7.2).
extension Hypervisor {
  /// Lets the instruction write one page that no shadow entry lets it write. If it is a guarded table, shadow entries
  /// follow.
  func emulateWrite(_ exit: VMExit, _ path: GuestPath) -> RunResult? {
    guard let mapped = guest.map.lookup(path.physical) else { return .unsupported("no memory at \(path.physical)") }
    counted.pfEmulate &+= 1
    work(.shadowEmulate, .emulate)
    if shadows.pool.isGuarded(path.physical.frame) { counted.mmuPteWrite &+= 1 }
    // What is no table yet may become one before the instruction is done, by its next access.
    watch(path.physical)
    grant(exit.address, .memory(mapped.address.pageBase))
    resume(exit)
    return nil
  }

  /// Brings the shadow entries of tables up to date with what was written to them since they were captured.
  ///
  /// - Parameter hasStored: whether an instruction that was helped is done: then it has written where it was let, be it what
  ///   was there before. That counts too: who reuses a frame clears it first, and it is mostly clear.
  func apply(_ watched: WatchedTables, hasStored: Bool = false) {
    guard hasShadows else { return }
    lockTables()
    for number in watched.tables.indices {
      let gfn = watched.tables[number].gfn
      var index = 0
      var wasChanged = false
      var foundEntry = false
      while let change = watched.change(in: number, from: index, memory) {
        if mutated("write-not-followed") && index > 0 { break }
        wasChanged = true
        if followWrite(gfn, change) { foundEntry = true }
        index = change.index + 1
      }
      guard wasChanged || hasStored else { continue }
      if maySwitch {
        noteExit(AgileState.Exits.write, of: gfn)
      } else if options.zapOnReuse {
        noteFlooding(gfn, foundEntry: foundEntry || !wasChanged && isUsed(gfn, at: watched.tables[number].index))
      }
    }
  }

  /// Whether there is a shadow entry for eight bytes of a guest table, which are one entry or two.
  private func isUsed(_ gfn: UInt64, at index: Int) -> Bool {
    var page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      let role = shadows.pool[page].role
      if role.isNarrow {
        for half in 0..<2 where role.entries(of: 2 * index + half).contains(where: { entry(page << 9 | $0).isPresent })
        {
          return true
        }
      } else if !role.isDirect && entry(page << 9 | index).isPresent {
        return true
      }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    return false
  }

  /// Follows the change of eight bytes of a guest table, which are one entry or two, in every shadow page of it.
  ///
  /// - Returns: whether there was a shadow entry that it concerned.
  private func followWrite(_ gfn: UInt64, _ change: WatchedTables.Change) -> Bool {
    var found = false
    var page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      let role = shadows.pool[page].role
      if role.isDirect {
        // Nothing of it depends on the frame's bytes.
      } else if role.isNarrow {
        for half in 0..<2 {
          let shift = UInt64(32 * half)
          let new = change.new >> shift & 0xffff_ffff
          guard new != change.old >> shift & 0xffff_ffff else { continue }
          for entry in role.entries(of: 2 * change.index + half) {
            if follow(page << 9 | entry, role, new) { found = true }
          }
        }
      } else if follow(page << 9 | change.index, role, change.new) {
        found = true
      }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    return found
  }

  /// Makes a shadow entry follow the guest's.
  ///
  /// - Returns: whether there was one.
  private func follow(_ slot: Int, _ role: ShadowRole, _ new: UInt64) -> Bool {
    let present = entry(slot)
    if present.isPresent {
      let isLeaf = present.isLeaf(level: role.level)
      if !isLeaf { counted.mmuPdeZapped &+= 1 }
      // A large page of the guest's is in TLBs in pieces, and its INVLPG will name only one of them, whichever of the entries
      // above it has changed.
      if !mutated("splinters-kept"), isLeaf ? role.isNarrow && role.level > 1 : mayLeadToPieces(present) {
        flushEveryProcessor()
      }
    }
    let wanted = options.eagerFill && role.level == 1 ? leafEntry(role, new) : .none
    if wanted.isPresent && wanted != present { counted.mmuPteUpdated &+= 1 }
    // This processor's own translations the guest invalidates, and on others it asks for that; but until then an
    // emulation in progress there may use what is going (KVM: `need_remote_flush`).
    if present.loses(by: wanted) { owesRemoteFlush = true }
    change(slot, to: wanted, for: wanted.isPresent ? .shadowFill : .shadowReclaim)
    if present.isLink(level: role.level) { dropUnused(Int(allocator.owner(of: present.frame).number)) }
    return present.isPresent
  }

  /// Whether an entry leads to the pieces of a large page of the guest.
  func leadsToSplinters(_ entry: ShadowEntry) -> Bool {
    guard !entry.isSwitching else { return false }
    return shadows.pool[Int(allocator.owner(of: entry.frame).number)].role.isDirect
  }

  /// Whether TLBs may hold such pieces that were found through an entry, at once or further down. Behind a switching entry
  /// the hardware knows the guest's large pages as what they are.
  private func mayLeadToPieces(_ entry: ShadowEntry) -> Bool {
    guard !mutated("pieces-below-kept") else { return leadsToSplinters(entry) }
    return !entry.isSwitching && holdsPieces(Int(allocator.owner(of: entry.frame).number))
  }

  /// Whether pieces can be reached from a page. Where they cannot, none that was found through it is in TLBs: whoever cuts
  /// the way to pieces flushes them. A note of ways that have all gone is dropped.
  private func holdsPieces(_ page: Int) -> Bool {
    let (role, hasNote) = (shadows.pool[page].role, shadows.pool[page].leadsToPieces)
    guard hasNote && !role.isDirect else { return hasNote }
    var left = shadows.pool[page].present
    var slot = page << 9
    while left > 0 {
      let present = entry(slot)
      if present.isPresent { left -= 1 }
      if present.isLink(level: role.level), holdsPieces(Int(allocator.owner(of: present.frame).number)) { return true }
      slot += 1
    }
    shadows.pool[page].leadsToPieces = false
    return false
  }

  /// Takes note that pieces of a large page can be reached from a page from now on, and so from all that lead to it.
  func notePieces(below page: Int) {
    guard !shadows.pool[page].leadsToPieces else { return }
    shadows.pool[page].leadsToPieces = true
    var slot = shadows.rmap.first(shadows.rmap.list(leadingTo: page))
    while slot >= 0 {
      notePieces(below: slot >> 9)
      slot = shadows.rmap.next(slot)
    }
  }

  /// The shadow entry that a guest's leaf entry gets before anybody faults on it; none where hardware could not have
  /// cached the translation: it wants A set, and to write D (KVM: eager fills).
  func leafEntry(_ role: ShadowRole, _ guestEntry: UInt64) -> ShadowEntry {
    guard guestEntry & EntryBit.present != 0, guestEntry & EntryBit.accessed != 0 || mutated("eager-without-accessed")
    else { return .none }
    // The guest's mode may be another than the one that the page was made for.
    guard role.isNarrow || guestEntry & processor.softwarePlan.reserved.mask(level: 1, leaf: true) == 0,
      !role.reserves(guestEntry)
    else { return .none }
    // Memory that was never touched stays so.
    let physical = GuestPhysical(guestEntry & EntryBit.frameMask)
    guard let mapped = guest.map.lookup(physical) else { return .none }
    var access = role.access & TableFormat.ordinary(noExecute: role.noExecute).leafPermissions(guestEntry)
    if guestEntry & EntryBit.dirty == 0 && !mutated("eager-without-dirty") || shadows.pool.isGuarded(physical.frame) {
      access.writable = false
    }
    return ShadowEntry(mapping: mapped.address, access, level: 1)
  }

  // MARK: Write flooding

  /// Writes to a table that in all likelihood is none any more: the guest has freed it and uses the frame for data.
  private enum WriteFlooding {
    static let limit = 3
  }

  /// Counts a traced write, and drops the shadow pages of its frame after several in a row without a use by a fault.
  ///
  /// To an upper table every write counts, as in KVM. To a leaf table one counts only where no shadow entry depended on
  /// what was written: a guest that changes mappings in use, as fork does, needs the trace, and its price is what the
  /// policy is about.
  private func noteFlooding(_ gfn: UInt64, foundEntry: Bool) {
    var isFlooded = false
    var page = shadows.pool.firstPage(of: gfn)
    while page >= 0 {
      let role = shadows.pool[page].role
      if !role.isDirect {
        if role.level == 1 && foundEntry {
          shadows.pool[page].idleWrites = 0
        } else {
          shadows.pool[page].idleWrites += 1
        }
        if shadows.pool[page].idleWrites >= WriteFlooding.limit { isFlooded = true }
      }
      page = Int(shadows.pool[page].nextOfFrame)
    }
    guard isFlooded else { return }
    counted.mmuFlooded &+= 1
    unshadow(gfn)
  }
}
