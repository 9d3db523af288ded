import Hypervisor
import Machine

extension VirtualMachine {
  /// The statistics of the run so far.
  public var statistics: Statistics {
    var statistics = Statistics()
    statistics.guest = Statistics.Guest(
      name: guest.name, sha256: guest.sha256, initrdSHA256: configuration.initrd.map { contentHash($0.bytes) })
    statistics.config = ConfigurationKey.effective(configuration)
    var counters = Counters()
    var accesses: UInt64 = 0
    for (index, processor) in processors.enumerated() {
      counters.add(processor.counters)
      accesses &+= processor.state.accesses
      fillProcessor(&statistics, index)
    }
    fillTranslation(&statistics, counters, accesses: accesses)

    for entry in devices.unclaimed { statistics.unclaimed[entry.description] = entry.reads + entry.writes }
    for entry in counters.unknownMSRs.accesses {
      statistics.unclaimed["MSR 0x" + String(entry.number, radix: 16)] = entry.reads + entry.writes
    }
    statistics.unverified = profile.unverified.map(\.rawValue)

    statistics.memory = Statistics.Memory(guestBytes: configuration.memory)
    if let hypervisor { fillHypervisor(&statistics, hypervisor.statistics, crossings: counters.crossings) }
    return statistics
  }

  /// One processor's account, and its part of the machine's.
  private func fillProcessor(_ statistics: inout Statistics, _ index: Int) {
    let processor = processors[index]
    var ledger = processor.ledger
    ledger[.idle] &+= interleaving.pendingIdle(of: index, processors)
    let retired = processor.instructionsRetired
    statistics.cpus.append(Statistics.CPU(instructions: retired, causes: CauseCounts(ledger)))
    statistics.instructions &+= retired
    statistics.causes.ledger.add(ledger)

    var regions = processor.regions
    regions.close(ledger: ledger, retired: retired)
    for (mark, account) in regions.accounts {
      statistics.regions[Statistics.regionName(mark), default: Statistics.Region()].add(account)
    }
  }

  private func fillTranslation(_ statistics: inout Statistics, _ counters: Counters, accesses: UInt64) {
    let flushes = counters.flushesAll + counters.flushesContext + counters.flushesPage
    func buffer(_ lookups: UInt64, misses: UInt64) -> Statistics.TLB {
      Statistics.TLB(hits: lookups >= misses ? lookups - misses : 0, misses: misses, flushes: flushes)
    }
    statistics.tlb["data"] = buffer(accesses, misses: counters.dataMisses)
    statistics.tlb["code"] = buffer(counters.codeLookups, misses: counters.codeMisses)
    statistics.tlb["l2"] = Statistics.TLB(
      hits: counters.secondHits, misses: counters.secondMisses, flushes: flushes)
    statistics.tlb["nested"] = Statistics.TLB(
      hits: counters.nestedTLBHits, misses: counters.nestedTLBMisses, flushes: 0)

    var walks = Statistics.Walks()
    let inWalkCache = fillWalkCache(&walks, counters)
    var first = inWalkCache[.guest, default: 0] + inWalkCache[.shadow, default: 0]
    var second = inWalkCache[.host, default: 0]
    for level in 0..<3 {
      first += counters.firstReferences[level]
      second += counters.secondReferences[level]
    }
    walks.count = counters.walks
    walks.references = first + second
    let crossed =
      counters.crossedReferences[0] + counters.crossedReferences[1] + counters.crossedReferences[2]
      + inWalkCache[.guest, default: 0]
    let ofShadows = configuration.paging.isShadow ? first - crossed : 0
    walks.guestReferences = first - ofShadows
    walks.shadowReferences = ofShadows
    walks.hostReferences = second
    for references in 0..<40 where counters.referencesPerWalk[references] != 0 {
      walks.byReferences["\(references)"] = counters.referencesPerWalk[references]
    }
    for level in 1...3 where counters.structureHits[level] != 0 {
      walks.byLevel["\(level)"] = counters.structureHits[level]
      walks.pagingStructureCacheHits += counters.structureHits[level]
    }
    let fromRoot = counters.walks - walks.pagingStructureCacheHits
    if fromRoot != 0 { walks.byLevel["root"] = fromRoot }
    walks.nestedTLBHits = counters.nestedTLBHits
    fillReferences(&walks, counters, inWalkCache)
    statistics.walks = walks
  }

  /// What the page-walk cache had of each place in a walk.
  ///
  /// - Returns: its hits by whose tables they were of.
  private func fillWalkCache(_ walks: inout Statistics.Walks, _ counters: Counters) -> [WalkPosition.Tables: UInt64] {
    var hits: [WalkPosition.Tables: UInt64] = [:]
    for position in WalkPosition.all {
      let asked = counters.walkCache(position)
      guard asked.hits + asked.misses != 0 else { continue }
      hits[position.tables, default: 0] += asked.hits
      walks.walkCache = walks.walkCache ?? [:]
      walks.walkCache?[position.name] = Statistics.Walks.Asked(hits: asked.hits, misses: asked.misses)
    }
    return hits
  }

  /// Where references were served, and what the second dimension's walks began with.
  private func fillReferences(
    _ walks: inout Statistics.Walks, _ counters: Counters, _ inWalkCache: [WalkPosition.Tables: UInt64]
  ) {
    var served: [WalkPosition.Tables: InlineArray<3, UInt64>] = [:]
    if configuration.paging.isShadow {
      var ofShadows = counters.firstReferences
      for level in ofShadows.indices { ofShadows[level] &-= counters.crossedReferences[level] }
      served[.shadow] = ofShadows
      if counters.crossings != 0 { served[.guest] = counters.crossedReferences }
    } else {
      served[.guest] = counters.firstReferences
    }
    if counters.nestedWalks != 0 { served[.host] = counters.secondReferences }
    walks.served = [:]
    for (tables, references) in served {
      walks.served?[tables.rawValue] = Statistics.Walks.Served(
        l2: references[0], l3: references[1], memory: references[2],
        walkCache: walks.walkCache == nil ? nil : inWalkCache[tables, default: 0])
    }
    guard counters.nestedWalks != 0 else { return }
    var byLevel: [String: UInt64] = [:]
    var fromRoot = counters.nestedWalks
    for level in 1...3 where counters.nestedStructureHits[level] != 0 {
      byLevel["\(level)"] = counters.nestedStructureHits[level]
      fromRoot &-= counters.nestedStructureHits[level]
    }
    if fromRoot != 0 { byLevel["root"] = fromRoot }
    walks.nestedByLevel = byLevel
  }

  private func fillHypervisor(
    _ statistics: inout Statistics, _ counted: HypervisorStatistics, crossings: UInt64
  ) {
    for reason in ExitReason.allCases where counted[reason].count != 0 {
      let exits = counted[reason]
      statistics.exits[reason.name] = Statistics.Exit(
        count: exits.count, cycles: exits.cycles, min: exits.min, max: exits.max)
    }
    var shadow = Statistics.Shadow()
    shadow.pfTaken = counted.pfTaken
    shadow.pfFixed = counted.pfFixed
    shadow.pfGuest = counted.pfGuest
    shadow.pfEmulate = counted.pfEmulate
    shadow.hiddenFaults = counted.hiddenFaults
    shadow.trueFaults = counted.trueFaults
    shadow.mmuPteWrite = counted.mmuPteWrite
    shadow.mmuPteUpdated = counted.mmuPteUpdated
    shadow.mmuPdeZapped = counted.mmuPdeZapped
    shadow.mmuFlooded = counted.mmuFlooded
    shadow.mmuRecycled = counted.mmuRecycled
    shadow.mmuCacheMiss = counted.mmuCacheMiss
    shadow.mmuShadowZapped = counted.mmuShadowZapped
    shadow.mmuUnsync = counted.mmuUnsync
    shadow.unsynced = counted.unsynced
    shadow.synced = counted.synced
    shadow.tlbFlush = counted.tlbFlush
    shadow.invlpg = counted.invlpg
    shadow.invept = counted.invept
    shadow.invvpid = counted.invvpid
    shadow.remoteTlbFlush = counted.remoteTlbFlush
    shadow.lockWaits = counted.lockWaits
    shadow.lockWaitCycles = counted.lockWaitCycles
    shadow.dirtyPages = counted.dirtyPages
    shadow.dirtyCollections = counted.dirtyCollections
    shadow.dirtyFaults = counted.dirtyFaults
    shadow.dirtyScanned = counted.dirtyScanned
    shadow.dirtyLogFull = counted[.modificationLogFull].count
    shadow.tableBytes = counted.tableBytes
    shadow.peakTableBytes = counted.peakTableBytes
    statistics.shadow = shadow
    if counted.churned.count == 3 {
      statistics.churn = Statistics.Churn(
        unmapped: counted.churned[0], moved: counted.churned[1], writeProtected: counted.churned[2])
    }
    if configuration.paging == .agile {
      statistics.agile = Statistics.Agile(
        wentNested: counted.wentNested, cameBack: counted.cameBack, switchingEntries: counted.switchingEntries,
        looks: counted.looks, nestedTables: counted.nestedTables, crossings: crossings)
    }
    statistics.memory.hostBytes = counted.guestBytes + counted.tableBytes
    statistics.memory.overheadBytes = counted.tableBytes
    fillTables(&statistics.memory, counted)
  }

  private func fillTables(_ memory: inout Statistics.Memory, _ counted: HypervisorStatistics) {
    var tables: [String: Statistics.Tables] = [:]
    for kind in TableKind.allCases where counted.peakTables[kind] != 0 {
      tables[kind.name] = Statistics.Tables(
        bytes: UInt64(counted.tables[kind]) << 12, peakBytes: UInt64(counted.peakTables[kind]) << 12)
    }
    memory.tables = tables

    func sample(_ counts: TableCounts, at clock: UInt64) -> Statistics.Timeline.Sample {
      var bytes: [String: UInt64] = [:]
      for kind in TableKind.allCases where counts[kind] != 0 { bytes[kind.name] = UInt64(counts[kind]) << 12 }
      return Statistics.Timeline.Sample(cycles: clock, tables: bytes)
    }
    let now = moment.cycles
    var samples = counted.timeline.samples.map { sample($0.tables, at: $0.clock) }
    // What the last exits have changed has not been sampled yet.
    let last = sample(counted.tables, at: min(counted.timeline.due, now))
    if samples.last?.tables != last.tables { samples.append(last) }
    memory.timeline = Statistics.Timeline(cycles: now, interval: counted.timeline.interval, samples: samples)
  }
}
