import Emulator
import Hypervisor
import Machine

/// Breakpoints: making them, arming the processors with them, and telling which of them a pause is of.
extension Session {
  // MARK: The list

  /// Adds a breakpoint.
  @discardableResult
  public func add(_ kind: Breakpoint.Kind, text: String) -> Int {
    var breakpoint = Breakpoint(number: nextNumber, kind: kind, text: text)
    nextNumber += 1
    if case .watch(let watch) = kind { breakpoint.value = value(of: watch) }
    breakpoints.append(breakpoint)
    return breakpoint.number
  }

  /// Changes a breakpoint; false if there is none with the number.
  @discardableResult
  public func change(_ number: Int, _ body: (inout Breakpoint) -> Void) -> Bool {
    guard let index = breakpoints.firstIndex(where: { $0.number == number }) else { return false }
    body(&breakpoints[index])
    return true
  }

  @discardableResult
  public func delete(_ number: Int) -> Bool {
    let count = breakpoints.count
    breakpoints.removeAll { $0.number == number }
    return breakpoints.count < count
  }

  // MARK: Arming

  /// What the processors are to watch for a watchpoint.
  func ranges(of watch: Breakpoint.Watch, number: Int) -> [WatchedRange] {
    let (reads, writes) = (watch.access != .write, watch.access != .read)
    guard watch.isPhysical else {
      return [
        WatchedRange(.linear, start: watch.address, length: watch.length, reads: reads, writes: writes, id: number)
      ]
    }
    var ranges: [WatchedRange] = []
    var at = watch.address
    let end = watch.address &+ watch.length
    while at < end {
      let next = min(end, (at & ~0xfff) &+ 4096)
      if let host = hostAddress(of: GuestPhysical(at)) {
        ranges.append(
          WatchedRange(.host, start: host.rawValue, length: next - at, reads: reads, writes: writes, id: number))
      } else {
        awaitsPopulation = true
      }
      at = next
    }
    return ranges
  }

  /// The frames of the tables that CR3 leads to now.
  func tableRanges(number: Int) -> [WatchedRange] {
    guestTables().compactMap { table in
      hostAddress(of: table).map {
        WatchedRange(.host, start: $0.rawValue, length: 4096, reads: false, writes: true, id: number)
      }
    }
  }

  /// What watched stretches hold, to be compared with what they hold later.
  func rememberValues() {
    for index in breakpoints.indices {
      if case .watch(let watch) = breakpoints[index].kind { breakpoints[index].value = value(of: watch) }
    }
  }

  func value(of watch: Breakpoint.Watch) -> [UInt8]? {
    watch.isPhysical
      ? readPhysical(GuestPhysical(watch.address), count: Int(watch.length))
      : read(watch.address, count: Int(watch.length))
  }

  // MARK: Pauses

  /// The breakpoints that a pause is of, each counted.
  func examine(_ before: [Position]) -> [BreakpointHit] {
    var found: [(number: Int, detail: String)] = caught
    for processor in machine.processors {
      for hit in processor.watchedAccesses {
        guard !found.contains(where: { $0.number == hit.id }), let detail = detail(of: hit) else { continue }
        found.append((hit.id, detail))
      }
    }
    let running = machine.runningProcessor
    if Position(running) != before[running.index] { found += codeHits(at: linear(of: running)) }
    // Conditions are of the processor that has come here.
    let before = selected
    selected = running.index
    let hits = found.compactMap { count($0.number, $0.detail) }
    if hits.isEmpty { selected = before }
    return hits
  }

  /// The breakpoints at an instruction.
  func codeHits(at address: UInt64) -> [(number: Int, detail: String)] {
    breakpoints.filter { $0.isEnabled && $0.kind == .code(address) }.map { ($0.number, "") }
  }

  /// Counts a stop at a breakpoint, unless its condition does not hold or it is to be passed over.
  func count(_ number: Int, _ detail: String) -> BreakpointHit? {
    guard let index = breakpoints.firstIndex(where: { $0.number == number }) else { return nil }
    var detail = detail
    if let condition = breakpoints[index].condition {
      do throws(Expression.Failure) {
        if try condition.value(in: self) == 0 { return nil }
      } catch {
        // It stops, so that somebody sees it.
        detail += (detail.isEmpty ? "" : "; ") + "its condition has no value: \(error.description)"
      }
    }
    if let predicate = breakpoints[index].predicate, !predicate(self) { return nil }
    guard breakpoints[index].ignored == 0 else {
      breakpoints[index].ignored -= 1
      return nil
    }
    breakpoints[index].hits += 1
    let breakpoint = breakpoints[index]
    if breakpoint.isTemporary { breakpoints.remove(at: index) }
    return BreakpointHit(
      number: number, kind: breakpoint.kind, text: breakpoint.text, detail: detail,
      isTemporary: breakpoint.isTemporary, commands: breakpoint.commands)
  }

  /// What an access to watched memory was; nil for a store that has changed nothing.
  private func detail(of hit: WatchHit) -> String? {
    guard let index = breakpoints.firstIndex(where: { $0.number == hit.id }) else { return nil }
    switch breakpoints[index].kind {
    case .watch(let watch):
      let old = breakpoints[index].value
      let new = value(of: watch)
      breakpoints[index].value = new
      switch watch.access {
      case .write: return old == new ? nil : WatchedBytes.change(old, new, at: watch.address)
      case .read: return "value \(WatchedBytes.text(new))"
      case .access:
        return old == new
          ? "\(hit.isWrite ? "written" : "value") \(WatchedBytes.text(new))"
          : WatchedBytes.change(old, new, at: watch.address)
      }
    case .catching(.tableWrite):
      let place = guestAddress(of: HostPhysical(hit.address & ~7))
      let value = machine.memory.word(at: HostPhysical(hit.address & ~7))
      return "table entry at \(place.map(\.description) ?? "?") is 0x\(String(value, radix: 16)) now"
    default: return nil
    }
  }
}
