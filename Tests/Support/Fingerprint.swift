import Machine

/// Everything that two runs of the same program must agree on, line by line, so that a difference can be read.
public struct Fingerprint: Equatable, Sendable {
  public private(set) var lines: [String] = []

  /// - Parameter memory: nil leaves the contents of memory out.
  public init(_ processor: Processor, memory: HostMemory? = nil) {
    add(processor.state)
    for (cause, cycles) in processor.ledger.nonzero { add("ledger \(cause.name)", cycles) }
    add(processor.counters)
    for (event, rip) in processor.recentlyDelivered { lines.append("event \(event) at \(rip)") }
    var regions = processor.regions
    regions.close(ledger: processor.ledger, retired: processor.state.retired)
    for (id, account) in regions.accounts.sorted(by: { $0.key < $1.key }) {
      lines.append("region \(id): \(account.visits) \(account.instructions) \(account.ledger.nonzero)")
    }
    let translation = processor.snapshot().translation
    add("tick", translation.tick)
    for (index, array) in translation.arrays.enumerated() { add("array \(index)", hash(array)) }
    if let memory { add("memory", hash(memory)) }
  }

  private mutating func add(_ name: String, _ value: UInt64) { lines.append("\(name) \(value)") }

  private mutating func add<let count: Int>(_ name: String, _ values: borrowing InlineArray<count, UInt64>) {
    for index in values.indices where values[index] != 0 { add("\(name) \(index)", values[index]) }
  }

  private mutating func add(_ state: ProcessorState) {
    for index in 0..<16 { add("register \(index)", state.slots[index]) }
    for (name, value) in [
      ("rip", state.rip), ("rflags", state.rflags), ("cpl", UInt64(state.cpl)), ("cr0", state.cr0), ("cr2", state.cr2),
      ("cr3", state.cr3), ("cr4", state.cr4), ("efer", state.efer), ("executed", state.executed),
      ("charged", state.charged), ("retired", state.retired), ("accesses", state.accesses), ("idle", state.idleTicks),
      ("shadow", state.interruptShadow), ("stack shadow", state.stackShadow), ("pending", state.pendingDebug),
      ("halted", state.isHalted ? 1 : 0), ("nmi", state.blocksNonMaskable ? 1 : 0),
      ("dr6", state.debugRegisters[6]),
    ] { add(name, value) }
    for number in 0..<16 where state.vector.xmm[number] != Vector128() {
      lines.append("xmm \(number) \(state.vector.xmm[number])")
    }
    for number in 0..<16 where state.vector.upper[number] != Vector128() {
      lines.append("ymm \(number) \(state.vector.upper[number])")
    }
    add("mxcsr", UInt64(state.vector.mxcsr))
    for register in SegmentRegister.allCases { lines.append("segment \(register) \(state[register])") }
  }

  private mutating func add(_ counters: Counters) {
    for (name, value) in [
      ("data misses", counters.dataMisses), ("code look-ups", counters.codeLookups),
      ("code misses", counters.codeMisses),
      ("second hits", counters.secondHits), ("second misses", counters.secondMisses), ("all", counters.flushesAll),
      ("context", counters.flushesContext), ("page", counters.flushesPage), ("walks", counters.walks),
      ("nested TLB hits", counters.nestedTLBHits), ("nested TLB misses", counters.nestedTLBMisses),
      ("exceptions", counters.exceptions), ("interrupts", counters.interrupts), ("switches", counters.stackSwitches),
      ("loads of CR3", counters.controlRegister3Loads), ("ports", counters.portAccesses),
      ("registers", counters.deviceAccesses), ("wakes", counters.wakes),
    ] { add(name, value) }
    add("first", counters.firstReferences)
    add("second", counters.secondReferences)
    add("walks of", counters.referencesPerWalk)
    add("structure hits", counters.structureHits)
    add("nested structure hits", counters.nestedStructureHits)
    for position in WalkPosition.all {
      add("page-walk cache, \(position.name)", counters.walkCache(position).hits)
      add("page-walk cache, \(position.name), misses", counters.walkCache(position).misses)
    }
    add("bit updates", counters.bitUpdates)
    add("data", counters.dataReferences)
  }

  private func hash(_ words: [UInt64]) -> UInt64 {
    words.reduce(14_695_981_039_346_656_037) { ($0 ^ $1) &* 0x9e37_79b9_7f4a_7c15 ^ $0 >> 29 }
  }

  private func hash(_ memory: HostMemory) -> UInt64 {
    var sum: UInt64 = 0
    for frame in 0..<memory.capacity >> 12 where memory.isTouched(frame: frame) {
      let page = UnsafeRawBufferPointer(start: memory.base + Int(frame << 12), count: 4096)
      sum = hash([sum, frame] + page.bindMemory(to: UInt64.self))
    }
    return sum
  }

  /// The lines that differ, this one's first.
  public func differences(from other: Fingerprint) -> [String] {
    let theirs = Set(other.lines)
    let ours = Set(lines)
    return lines.filter { !theirs.contains($0) }.map { "- " + $0 }
      + other.lines.filter { !ours.contains($0) }.map { "+ " + $0 }
  }
}
