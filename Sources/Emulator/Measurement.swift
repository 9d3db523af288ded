import Machine

extension VirtualMachine {
  /// The statistics of the run so far.
  public var statistics: Statistics {
    var statistics = Statistics()
    statistics.guest = Statistics.Guest(
      name: guest.name, sha256: guest.sha256, initrdSHA256: configuration.initrd.map { contentHash($0.bytes) })
    statistics.config = configuration.effective
    let state = processor.state
    let ledger = processor.ledger
    let counters = processor.counters
    statistics.instructions = state.retired
    statistics.causes = CauseCounts(ledger)
    fillTranslation(&statistics, counters, accesses: state.accesses)

    var regions = processor.regions
    regions.close(ledger: ledger, retired: state.retired)
    for (mark, account) in regions.accounts {
      statistics.regions[Statistics.regionName(mark)] = Statistics.Region(
        visits: account.visits, instructions: account.instructions, causes: CauseCounts(account.ledger))
    }
    statistics.cpus = [Statistics.CPU(instructions: state.retired, causes: statistics.causes)]
    for entry in devices.unclaimed { statistics.unclaimed[entry.description] = entry.reads + entry.writes }
    statistics.unverified = profile.unverified.map(\.rawValue)

    statistics.memory = Statistics.Memory(guestBytes: configuration.memory)
    if let hypervisor { fillHypervisor(&statistics, hypervisor.statistics) }
    return statistics
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

    var first: UInt64 = 0
    var second: UInt64 = 0
    for level in 0..<3 {
      first += counters.firstReferences[level]
      second += counters.secondReferences[level]
    }
    var walks = Statistics.Walks()
    walks.count = counters.walks
    walks.references = first + second
    let isShadowed = configuration.paging == .shadow
    walks.guestReferences = isShadowed ? 0 : first
    walks.shadowReferences = isShadowed ? first : 0
    walks.hostReferences = second
    for references in 0..<40 where counters.referencesPerWalk[references] != 0 {
      walks.byLevel["\(references)"] = counters.referencesPerWalk[references]
    }
    for level in 1...3 { walks.pagingStructureCacheHits += counters.structureHits[level] }
    walks.nestedTLBHits = counters.nestedTLBHits
    statistics.walks = walks
  }
}
