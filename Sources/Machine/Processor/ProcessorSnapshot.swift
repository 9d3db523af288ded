/// Everything of a processor that a run's future and its statistics depend on; memory is apart.
public struct ProcessorSnapshot {
  let state: ProcessorState
  let causes: [UInt64]
  let counters: Counters
  let regions: RegionAccounts
  package let translation: TranslationImage
  let controls: VMControls
  let modificationLogIndex: UInt16
  let fetchPage: UInt64
  let fetchFrame: UInt64
  let fetchSecondPage: UInt64
  let fetchSecondFrame: UInt64
  let recentEvents: [(event: Event, rip: UInt64)]
  let raisedExceptions: [RaisedException]
}

extension Processor {
  /// Copies the processor between two runs.
  public func snapshot() -> ProcessorSnapshot {
    ProcessorSnapshot(
      state: s.pointee, causes: Array(UnsafeBufferPointer(start: causes, count: Cause.count)), counters: counters,
      regions: regions, translation: translation.image(), controls: controls,
      modificationLogIndex: modificationLogIndex, fetchPage: fetchPage,
      fetchFrame: fetchFrame, fetchSecondPage: fetchSecondPage, fetchSecondFrame: fetchSecondFrame,
      recentEvents: recentEvents, raisedExceptions: raisedExceptions)
  }

  /// Makes the processor as it was. Memory must have been restored before: what was decoded from it is forgotten.
  public func restore(_ snapshot: ProcessorSnapshot) {
    restorePatched()
    blocks.dropAll()
    s.pointee = snapshot.state
    for (index, cycles) in snapshot.causes.enumerated() { causes[index] = cycles }
    counters = snapshot.counters
    regions = snapshot.regions
    translation.restore(snapshot.translation)
    controls = snapshot.controls
    modificationLogIndex = snapshot.modificationLogIndex
    updatePaging()
    fetchPage = snapshot.fetchPage
    fetchFrame = snapshot.fetchFrame
    fetchSecondPage = snapshot.fetchSecondPage
    fetchSecondFrame = snapshot.fetchSecondFrame
    if options.coherentTLB {
      let access = Access(.fetch, privilege)
      for page in [fetchPage, fetchSecondPage] where page != .max { _ = pathInTables(page << 12, access) }
    }
    recentEvents = snapshot.recentEvents
    raisedExceptions = snapshot.raisedExceptions
    stop = .none
    grantedStores = []
    matchedBreakpoints = 0
  }
}
