import Machine

/// What one processor's handler owes to the others: flushes of what their TLBs may hold of shared shadow tables, and the
/// lock that keeps two handlers from changing the tables at once (KVM: `kvm_flush_remote_tlbs`, `mmu_lock`).
struct TableLock {
  private var holder = -1
  private var from: UInt64 = 0
  private var until: UInt64 = 0

  /// How long a processor waits for the lock at a time of its clock.
  ///
  /// Processors run by turns, and a clock may be behind that of the last holder: who comes before the lock was taken does
  /// not wait.
  func wait(of processor: Int, at clock: UInt64) -> UInt64 {
    holder != processor && clock >= from && clock < until ? until - clock : 0
  }

  mutating func hold(by processor: Int, from start: UInt64, until end: UInt64) {
    (holder, from, until) = (processor, start, end)
  }
}

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

  /// Drops everything that was made from nested tables (INVEPT: guest-physical and combined mappings), with it all of
  /// the guest's translations.
  func flushNested() {
    running.owesNestedFlush = false
    roots.flushesDone()
    processor.flushAll()
    counted.tlbFlush &+= 1
    work(.flush, .flushAll)
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

  /// Takes the lock of the shadow tables, until the end of the exit.
  func lockTables() {
    // Who shares no pages shares no lock.
    guard policy.sharesPages, virtualProcessors.count > 1, lockedSince == nil, isCharging else { return }
    let wait = lock.wait(of: processor.index, at: processor.clock)
    if wait != 0 {
      counted.lockWaits &+= 1
      counted.lockWaitCycles &+= wait
      processor.charge(.shadowLock, wait)
    }
    lockedSince = processor.clock
  }

  func unlockTables() {
    guard let start = lockedSince else { return }
    lockedSince = nil
    lock.hold(by: processor.index, from: start, until: processor.clock)
  }
}
