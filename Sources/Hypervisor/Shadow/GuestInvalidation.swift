import Machine

/// Invalidations by the guest: what they do to the hardware's TLB, and to shadow entries that may be stale.
extension Hypervisor {
  /// INVLPG. It drops global entries whatever their PCID, and shadow entries do not tell which are global, so it reaches
  /// every root.
  func invalidatePage(_ address: GuestVirtual) {
    counted.invlpg &+= 1
    invalidate(address) { _ in true }
  }

  func invalidatePCID(_ exit: VMExit) {
    let pcid = UInt16(truncatingIfNeeded: exit.value)
    switch exit.number {
    case 0: invalidate(exit.address) { $0.key.pcid == pcid }
    case 1: flushForGuest(pcid: pcid)
    default: flushForGuest()
    }
  }

  private func invalidate(_ address: GuestVirtual, where isMeant: (ShadowRoots.Root) -> Bool) {
    for position in roots.slots.indices {
      guard let root = roots.slots[position], isMeant(root) else { continue }
      invalidate(address, at: position, root)
    }
  }

  private func invalidate(_ address: GuestVirtual, at position: Int, _ root: ShadowRoots.Root) {
    guard address.isCanonical(bits: root.key.role.addressBits) else { return }
    if policy.mayBeStale && !root.needsSync { invalidateEntry(address, in: root) }
    // Without tags the exit has flushed already.
    guard costs.hasTaggedTLB, !root.needsFlush, !mutated("invlpg-keeps-tlb") else { return }
    processor.invalidatePage(address, pcid: ShadowRoots.tag(position), globals: false)
    work(.flush, .flushPage)
  }

  /// What a page fault of the guest's drops: everything that TLBs hold for its address under the current PCID (SDM vol. 3,
  /// 4.10.4.1), which here may have several roots, one for each mode in which it was used; and the shadow entries that
  /// stand for that (KVM: `kvm_inject_emulated_page_fault`).
  ///
  /// Of the root in use the hardware has dropped what it held, but the entry by which it refused the access may permit
  /// another. Without PCIDs a root of another table is flushed when it is loaded.
  func invalidateForFault(_ exit: VMExit) {
    guard let current = roots.selected else { return }
    let hasContexts = processor.pagingRegisters.cr4 & CR4.pcid != 0
    for position in roots.slots.indices {
      guard let root = roots.slots[position], root.key.pcid == current.pcid,
        hasContexts || root.key.hasTables(of: current)
      else { continue }
      if position != roots.current {
        if !mutated("fault-keeps-modes") { invalidate(exit.address, at: position, root) }
      } else if policy.mayBeStale && exit.errorCode & PageFault.Code.present != 0 {
        invalidateEntry(exit.address, in: root)
      }
    }
  }

  /// Lets the shadow entry for an address follow the guest's, where it may be stale: it is brought up to date, or dropped
  /// where shadow tables are a TLB.
  func invalidateEntry(_ address: GuestVirtual, in root: ShadowRoots.Root) {
    var page = root.pages.page(for: address)
    // Without paging there is nothing to be stale.
    guard page >= 0, !root.key.role.isDirect else { return }
    lockTables()
    while true {
      work(.shadowResync, .sync)
      let role = shadows.pool[page].role
      let slot = slot(of: page, for: address)
      let present = entry(slot)
      if role.level == 1 {
        guard shadows.pool[page].mayBeStale else { return }
        if mutated("invlpg-without-resync") { return }
        if policy.sharesPages {
          synchroniseEntry(slot, filling: options.eagerFill)
        } else {
          change(slot, to: .none, for: .shadowReclaim)
        }
        return
      }
      // A large page of the guest goes whole, and one of 4 MiB has two entries. Traces keep those in step.
      if !policy.sharesPages && role.isNarrow && isPartOfLargePage(entry(slot ^ 1), role.level) {
        change(slot ^ 1, to: .none, for: .shadowReclaim)
        // To the hardware it is a page of its own, which the INVLPG does not name.
        roots.flushAll()
      }
      guard present.isPresent else { return }
      if isPartOfLargePage(present, role.level) {
        if !policy.sharesPages { change(slot, to: .none, for: .shadowReclaim) }
        return
      }
      page = Int(allocator.owner(of: present.frame).number)
    }
  }

  /// Whether an entry of an upper table stands for a large page of the guest, whole or in pieces.
  private func isPartOfLargePage(_ entry: ShadowEntry, _ level: Int) -> Bool {
    entry.isPresent && (entry.isLeaf(level: level) || leadsToSplinters(entry))
  }

  // MARK: Flushes

  /// A flush that the guest asks for, of the translations of a PCID or of all.
  func flushForGuest(pcid: UInt16? = nil) {
    for position in roots.slots.indices {
      guard let root = roots.slots[position], pcid == nil || root.key.pcid == pcid else { continue }
      roots.flush(position)
      guard policy.mayBeStale, !root.key.role.isDirect else { continue }
      if policy.sharesPages {
        if !mutated("flush-without-resync") { roots.demandSync(position) }
      } else if position == roots.current {
        for page in root.pages where page >= 0 && !mutated("virtual-tlb-kept") { empty(page) }
      } else {
        dropRoot(position)
      }
    }
  }

  /// Brings what can be reached from the root in use into step before an entry, where that is due.
  func synchroniseCurrentRoot() {
    guard let current = roots.current, roots.takeSync(), let root = roots.slots[current] else { return }
    for page in root.pages where page >= 0 { synchroniseBelow(page) }
  }

  /// Drops a cached root, and with it, where pages are not shared, all that is below.
  func dropRoot(_ position: Int) {
    guard let root = roots.slots[position] else { return }
    for page in root.pages where page >= 0 && shadows.pool[page].isLive { zap(page) }
    roots.forget(position)
  }
}
