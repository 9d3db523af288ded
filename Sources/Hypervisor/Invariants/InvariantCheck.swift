import Machine

/// The oracle of `--check-invariants`: after every exit it looks at all that the hypervisor and the hardware keep of the
/// guest's tables, and finds what does not follow from them and no rule of the architecture excuses.
///
/// 1. Every TLB and paging-structure-cache entry of the running context follows from the guest's tables, or from a shadow
///    entry that its policy lets be behind them; or one of the tables has been written since it was found to follow, or
///    since an entry was from which it may have been made, and the guest has not invalidated it (SDM vol. 3, 4.10.4).
/// 2. No TLB entry, of whatever processor and context, reaches a frame that is not the guest's, or lets the guest write
///    a guarded table, unless it is flushed before it can be used.
/// 3. What is cached of nested tables follows from them. After a violation nothing is left by which its addresses would be
///    translated (SDM vol. 3, 29.4.3.1).
/// 4. Shadow tables, reverse map and frames agree (`Hypervisor.checkInvariants`).
/// 5. The causes add up to the clock.
///
/// It keeps account of what it has found and what has been written since, so that it need not look at everything every
/// time. Nothing of the machine changes by it.
public final class InvariantCheck {
  private let writes: WriteLog
  /// Exits looked at.
  public private(set) var checks: UInt64 = 0
  /// For every frame the check before which it was written last.
  private var writtenAt: [UInt64: UInt64] = [:]
  /// The host frames in which tables of the guest's were found, and the last check before which one was written.
  private var tableFrames: Set<UInt64> = []
  private var tablesWrittenAt: UInt64 = 0
  private var processors: [Seen]
  /// What each processor's buffers hold at this check.
  private var held: [[BufferedTranslation]]
  /// Exits between two looks at everything.
  private static let whole: UInt64 = 256

  /// What was found out about one processor's buffers.
  private struct Seen {
    var verified = VerifiedEntries()
    var lastCheck: UInt64 = 0
    var registers: Processor.PagingRegisters?
    /// The check at which the registers changed that decide how the guest pages.
    var registersSince: UInt64 = 0
    /// Nothing is known of what was in the buffers before.
    var isNew = true
  }

  public init(_ hypervisor: Hypervisor) {
    writes = WriteLog(hypervisor.memory)
    processors = hypervisor.virtualProcessors.map { _ in Seen() }
    held = processors.map { _ in [] }
  }

  /// Forgets what it has found, as after the machine has gone back to a snapshot.
  public func forget() {
    writes.watchAll()
    for index in processors.indices { processors[index] = Seen() }
  }

  /// What does not hold after an exit has been handled; nil when all is well.
  func violation(after exit: VMExit, _ hypervisor: Hypervisor) -> String? {
    checks += 1
    let written = writes.collect()
    for frame in written {
      writtenAt[frame] = checks
      if tableFrames.contains(frame) { tablesWrittenAt = checks }
    }
    for one in hypervisor.virtualProcessors {
      one.processor.bufferedTranslations(into: &held[one.processor.index])
    }
    let found =
      ledgers(hypervisor) ?? tables(hypervisor, hasWrites: !written.isEmpty) ?? reach(hypervisor)
      ?? running(hypervisor, after: exit) ?? nested(hypervisor) ?? left(by: exit, hypervisor)
    return found.map {
      "\($0), after exit \(exit.reason.name) at RIP 0x\(String(hypervisor.processor.state.rip, radix: 16)), "
        + "instruction \(hypervisor.processor.instructionsRetired) of processor \(hypervisor.processor.index)"
    }
  }

  // MARK: Accounts and tables

  private func ledgers(_ hypervisor: Hypervisor) -> String? {
    for one in hypervisor.virtualProcessors where one.processor.ledger.total != one.processor.clock {
      return "ledger: the causes of processor \(one.processor.index) add up to \(one.processor.ledger.total) cycles, "
        + "its clock says \(one.processor.clock)"
    }
    return nil
  }

  private func tables(_ hypervisor: Hypervisor, hasWrites: Bool) -> String? {
    var found: [String] = []
    if checks % InvariantCheck.whole == 1 {
      found = hypervisor.checkInvariants()
    } else if hasWrites {
      found = hypervisor.checkShadowPages { page in
        self.isRecent(page.table.frame)
          || hypervisor.guest.map.lookup(GuestPhysical(page.gfn << 12)).map { self.isRecent($0.address.frame) } ?? false
      }
    }
    return (found.first ?? hypervisor.checkWalked() ?? hypervisor.checkOutOfStep()).map { "shadow tables: \($0)" }
  }

  private func isRecent(_ frame: UInt64) -> Bool { writtenAt[frame] == checks }

  // MARK: Where entries reach

  private func reach(_ hypervisor: Hypervisor) -> String? {
    for one in hypervisor.virtualProcessors {
      for entry in held[one.processor.index] where entry.buffer.tableLevel == nil && !entry.buffer.isNested {
        guard hypervisor.isInForce(entry, of: one), hypervisor.memory.contains(entry.host) else { continue }
        let owner = hypervisor.allocator.owner(of: entry.host)
        if owner.use != .guest { return "reach: \(name(entry, one)) leads to \(entry.host), which is not the guest's" }
        if entry.servesWrites && hypervisor.holdsGuardedTable(owner.number, entry.length) {
          return "protection: \(name(entry, one)) lets the guest write a guarded table in frame \(owner.number)"
        }
      }
    }
    return nil
  }

  private func name(_ entry: BufferedTranslation, _ one: VirtualProcessor) -> String {
    "\(entry.buffer.rawValue) entry of processor \(one.processor.index) for 0x\(String(entry.address, radix: 16)) "
      + "(\(entry.length >> 10)K, context \(entry.context))"
  }

  // MARK: What the guest's tables say

  private func running(_ hypervisor: Hypervisor, after exit: VMExit) -> String? {
    let one = hypervisor.running
    let processor = one.processor
    var seen = processors[processor.index]
    let registers = processor.pagingRegisters
    if seen.registers != registers {
      seen.registers = registers
      seen.registersSince = checks
    }
    defer {
      seen.lastCheck = checks
      processors[processor.index] = seen
    }
    guard !one.isFlushDue else { return nil }
    let invalidated = InvalidatedByGuest(exit, hypervisor)
    let context = processor.runningContext
    var verified = VerifiedEntries(capacity: held[processor.index].count)
    for entry in held[processor.index]
    where entry.isOfRunningSpace && entry.context == context && !entry.buffer.isNested && !entry.isGlobal {
      let last = seen.verified.next(entry)
      let isInvalidated = invalidated.contains(entry, in: max(last?.length ?? 0, entry.length))
      if let last, last.since >= tablesWrittenAt, last.since >= seen.registersSince, !isInvalidated {
        verified.append(entry, last)
        continue
      }
      let path = hypervisor.guestPath(of: entry)
      tableFrames.formUnion(path.frames)
      guard let why = hypervisor.disagreement(entry, path) else {
        verified.append(entry, .init(since: checks, length: path.length))
        continue
      }
      if !isInvalidated {
        let known =
          last?.since ?? (seen.isNew ? 0 : min(seen.lastCheck, seen.verified.oldestStale(for: entry.address) ?? .max))
        if known == 0 || seen.registersSince > known || path.frames.contains(where: { writtenAt[$0] ?? 0 > known }) {
          // The guest's own to invalidate: it may have followed from them until then, and be of use for long.
          verified.append(entry, .init(since: known, length: last?.length ?? entry.length, isStale: true))
          continue
        }
      }
      return "staleness: \(name(entry, one)) \(why)"
        + (isInvalidated ? ", although the guest has just invalidated it" : "")
    }
    seen.verified = verified
    seen.isNew = false
    return nil
  }

  // MARK: Nested tables

  private func nested(_ hypervisor: Hypervisor) -> String? {
    guard let tables = hypervisor.nested else { return nil }
    for one in hypervisor.virtualProcessors where !one.isFlushDue {
      for entry in held[one.processor.index] {
        if !hypervisor.hasShadows, entry.letsHostBeWritten, hypervisor.memory.contains(entry.host) {
          let owner = hypervisor.allocator.owner(of: entry.host)
          let address = GuestPhysical(entry.buffer == .nested ? entry.address : owner.number << 12)
          if owner.use == .guest && !tables.letsBeWritten(address, hypervisor.memory) {
            return "nested tables: \(name(entry, one)) lets frame \(address.frame) be written, they do not"
          }
        }
        guard entry.buffer.isNested else { continue }
        let address = GuestPhysical(entry.address)
        let said =
          entry.buffer.tableLevel.map { tables.table(for: address, level: $0, hypervisor.memory) }
          ?? hypervisor.guest.map.lookup(address)?.address
        if entry.buffer == .nested && entry.permissions.writable
          && hypervisor.shadows.pool.isGuarded(address.frame)
        {
          return "protection: \(name(entry, one)) lets the guest write a guarded table in frame \(address.frame)"
        }
        guard said != entry.host else { continue }
        return "nested tables: \(name(entry, one)) leads to \(entry.host), the tables to "
          + (said.map { "\($0)" } ?? "nothing")
      }
    }
    return nil
  }
}

extension InvariantCheck {
  /// What a violation should have dropped. Under agile paging the context that it was in may not be the running one any more.
  private func left(by exit: VMExit, _ hypervisor: Hypervisor) -> String? {
    guard exit.reason == .nestedFault, let fault = exit.nested else { return nil }
    let one = hypervisor.running
    for entry in held[one.processor.index] where entry.isOfRunningSpace {
      let isOfContext = entry.isGlobal || entry.context == one.processor.runningContext
      guard entry.buffer.isNested || isOfContext && !hypervisor.hasShadows && !exit.loadsDirectoryPointers else {
        continue
      }
      let address = entry.buffer.isNested ? fault.address.rawValue : exit.address.rawValue
      guard (address ^ entry.address) & ~(entry.length &- 1) == 0 else { continue }
      return "violation: \(name(entry, one)) has outlived one at \(fault.address)"
    }
    return nil
  }
}

/// What the guest has just invalidated: nothing stale may be left of it. Only what exits is known here; of nested paging
/// the hypervisor hears nothing.
struct InvalidatedByGuest {
  private var address: UInt64?
  private var isWhole = false

  init(_ exit: VMExit, _ hypervisor: Hypervisor) {
    guard hypervisor.hasShadows else { return }
    let registers = hypervisor.processor.pagingRegisters
    let hasContexts = registers.cr4 & CR4.pcid != 0
    switch exit.reason {
    case .invalidatePage: address = exit.address.rawValue
    case .invalidatePCID where exit.number == 0 && (!hasContexts || exit.value & 0xfff == registers.cr3 & 0xfff):
      address = exit.address.rawValue
    case .controlRegister3: isWhole = !hasContexts || exit.value >> 63 == 0
    default: break
    }
  }

  /// Whether an entry is of the guest's page that was named, whose extent is given.
  func contains(_ entry: BufferedTranslation, in length: UInt64) -> Bool {
    isWhole || entry.buffer.tableLevel == nil && address.map { ($0 ^ entry.address) & ~(length &- 1) == 0 } ?? false
  }
}
