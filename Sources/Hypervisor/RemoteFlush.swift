import Machine

/// The lock that keeps two handlers from changing the tables at once (KVM: `mmu_lock`): whoever comes first gets it first.
///
/// Processors run by turns, each with a clock of its own, and one that runs later may have come earlier. So it is known of
/// every hold when it was; one that comes before moves those after it, whose holders have waited longer than they knew.
/// Holds never overlap, whatever order clocks come in, but those that share.
struct TableLock {
  struct Hold {
    var processor: Int
    /// When its holder came, and when it got the lock.
    var came: UInt64
    var from: UInt64
    var length: UInt64
    var isShared: Bool

    var until: UInt64 { from &+ length }
  }

  /// A processor's wait, in so far as it has not been told before.
  struct Wait {
    var processor: Int
    var cycles: UInt64
  }

  /// Those that somebody may still come before, in the order in which they came.
  private(set) var holds: [Hold] = []

  /// Holds the lock for a while.
  ///
  /// - Parameter came: when the processor came.
  /// - Returns: what that makes processors wait, this one among them.
  mutating func hold(by processor: Int, from came: UInt64, for length: UInt64, isShared: Bool = false) -> [Wait] {
    let place = holds.firstIndex { $0.came > came } ?? holds.endIndex
    holds.insert(
      Hold(processor: processor, came: came, from: came, length: length, isShared: isShared), at: place)
    var waits: [Wait] = []
    // When everything is over that came before, and everything that does not share.
    var (end, aloneEnd): (UInt64, UInt64) = (0, 0)
    for number in holds.indices {
      let hold = holds[number]
      let from = max(hold.from, hold.isShared ? aloneEnd : end)
      if from > hold.from {
        holds[number].from = from
        waits.append(Wait(processor: hold.processor, cycles: from &- hold.from))
      }
      end = max(end, from &+ hold.length)
      if !hold.isShared { aloneEnd = end }
    }
    return waits
  }

  /// Forgets what was over before every processor's clock.
  mutating func forget(before clock: UInt64) { holds.removeAll { $0.until <= clock } }
}

/// What one processor's handler owes to the others: flushes of what their TLBs may hold of shared tables (KVM:
/// `kvm_flush_remote_tlbs`), and the tables' lock.
extension Hypervisor {
  /// Flushes, on every processor, what TLBs hold of the shadow tables.
  ///
  /// The others are told at the end of the exit: those that execute the guest's instructions are interrupted, and all
  /// flush when they are entered.
  func flushEveryProcessor() {
    roots.flushAll()
    shadows.lostWrites.flushed()
    owesRemoteFlush = true
  }

  /// The same for what was translated by nested tables, which have changed.
  func flushNestedEverywhere() {
    for one in virtualProcessors { one.owesNestedFlush = true }
    flushEveryProcessor()
  }

  /// Drops what was made from nested tables, now that they have changed.
  ///
  /// Intel's INVEPT for their root drops guest-physical and combined mappings; linear ones, which shadow tables alone are
  /// behind, wait for a flush of their own. AMD has one flush for all that an ASID has (TLB_CONTROL 3). Without nested
  /// tables the virtual processor's own translations are meant (INVVPID), which without a VPID the exit has dropped.
  func flushNested() {
    running.owesNestedFlush = false
    guard options.vendor == .intel else {
      roots.flushesDone()
      processor.flushAll()
      flushed(by: .flushAll)
      return
    }
    if let root = nested?.plan.root {
      roots.flushesDone { $0.key.isCombined }
      processor.invalidateExtended(.singleContext(root))
      flushed(by: .invalidateExtended)
    } else {
      roots.flushesDone()
      guard costs.hasTaggedTLB else { return }
      processor.invalidateVirtualProcessor(.singleContext(controls.vpid))
      flushed(by: .invalidateVirtualProcessor)
    }
  }

  private func flushed(by operation: Work) {
    counted.tlbFlush &+= 1
    work(.flush, operation)
  }

  /// Interrupts the other processors for the flushes that have become due.
  func flushRemotely() {
    guard owesRemoteFlush else { return }
    owesRemoteFlush = false
    guard virtualProcessors.count > 1 else { return }
    counted.remoteTlbFlush &+= 1
    var interrupted: UInt64 = 0
    for other in virtualProcessors where other !== running {
      if mutated("remote-flush-skipped") { continue }
      other.roots.flushAll()
      guard other.isInGuest, !other.isKicked else { continue }
      other.isKicked = true
      interrupted += 1
    }
    work(.shootdown, .shootdown, times: interrupted)
  }

  /// Does at once, on every processor, the flushes that have become due while no time passes: nobody is interrupted for
  /// them, and nobody goes on with what is stale.
  ///
  /// - Parameter due: the processors of which one was due before. It is done when it is paid for.
  func flushWithoutTime(butWhere due: [Bool]) {
    if owesRemoteFlush {
      owesRemoteFlush = false
      for one in virtualProcessors { one.roots.flushAll() }
    }
    for (one, wasDue) in zip(virtualProcessors, due) where !wasDue && one.owesNestedFlush {
      one.owesNestedFlush = false
      one.roots.flushesDone()
      one.processor.flushAll()
    }
    for (one, wasDue) in zip(virtualProcessors, due) where !wasDue && one.roots.takeFlush() {
      if costs.hasTaggedTLB, agile == nil, let current = one.roots.current {
        one.processor.flushContext(pcid: ShadowRoots.tag(current))
      } else {
        one.processor.flushLinear()
      }
      // The hardware may load the others before the hypervisor is asked again.
      if agile != nil { one.roots.flushesDone() }
    }
  }

  // MARK: The lock

  /// Takes the lock of the tables until the end of the exit.
  ///
  /// How long it is held is known then, and when it could have been: so the wait is charged at the end.
  ///
  /// - Parameter isShared: others that only add to nested tables may do so at the same time (KVM's TDP MMU fills under
  ///   `mmu_lock` held for reading: `kvm_tdp_mmu_page_fault`).
  func lockTables(isShared: Bool = false) {
    // Who shares no pages shares no lock. Under the instruction clock nobody knows who came first: a processor that waits
    // in HLT has no cycles, and its clock stays behind for good.
    guard policy.sharesPages, virtualProcessors.count > 1, isCharging, processor.countsCycles else { return }
    if locked == nil {
      chargeWait()
      locked = (processor.clock, isShared)
    }
    if !isShared { locked?.isShared = false }
  }

  func unlockTables() {
    if let (came, isShared) = locked {
      locked = nil
      for wait in lock.hold(by: processor.index, from: came, for: processor.clock &- came, isShared: isShared) {
        virtualProcessors[wait.processor].owedWait &+= wait.cycles
        counted.lockWaits &+= 1
      }
      lock.forget(before: virtualProcessors.reduce(.max) { $1.isInGuest ? min($0, $1.processor.clock) : $0 })
    }
    chargeWait()
  }

  /// Charges the processor what it has waited, even where that is known only since another has come before it.
  private func chargeWait() {
    guard running.owedWait != 0 else { return }
    counted.lockWaitCycles &+= running.owedWait
    processor.charge(.shadowLock, running.owedWait)
    running.owedWait = 0
  }
}
