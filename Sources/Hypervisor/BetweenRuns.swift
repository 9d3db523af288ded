import Machine

/// What can be seen and done of a virtual processor between two runs.
extension Hypervisor {
  /// Drops whatever the hypervisor has in hand for a processor, whose state somebody has replaced from outside: HLT, an
  /// event to inject, an instruction to complete.
  public func reset(_ index: Int) {
    running = virtualProcessors[index]
    isWaiting = false
    controls.injection = nil
    controls.interruptWindow = false
    abandonAssist()
    processor.enter(controls)
  }

  /// Runs the processor, and interrupts it when something is due that the hypervisor does by itself, as the host's timer
  /// would.
  func runUntilDue(_ running: VirtualProcessor, clockLimit: UInt64, retiredLimit: UInt64) -> RunResult {
    let processor = running.processor
    var due = UInt64.max
    if agile != nil || churn != nil || dirtyLog != nil {
      due = min(agile?.nextLook ?? .max, churn?.next ?? .max, dirtyLog?.next ?? .max)
    }
    guard due < clockLimit, running.assist == nil else {
      return processor.run(clockLimit: clockLimit, retiredLimit: retiredLimit)
    }
    let start = processor.instructionsRetired
    var result = processor.run(clockLimit: due, retiredLimit: retiredLimit)
    if processor.instructionsRetired == start && result == .limit && processor.clock < clockLimit {
      // The entry and a walk may take longer than what is done anew has an interval: the guest gets on all the same.
      result = processor.run(clockLimit: clockLimit, retiredLimit: min(retiredLimit, start &+ 1))
    }
    guard result == .limit, processor.clock >= due, processor.clock < clockLimit,
      processor.instructionsRetired < retiredLimit
    else { return result }
    return .exit(processor.forceExit())
  }

  /// Whatever its own work has cost the hypervisor, the guest gets on before it is interrupted again.
  func postponeWhatIsDue() {
    let clock = processor.clock
    if let agile, agile.nextLook <= clock { self.agile!.postponeLook(after: clock) }
    if let churn, churn.next <= clock { self.churn!.schedule(after: clock) }
    if let dirtyLog, dirtyLog.next <= clock { self.dirtyLog!.schedule(after: clock) }
  }

  /// Whether one of the guest's processors is in HLT.
  public func isHalted(_ index: Int) -> Bool { virtualProcessors[index].isWaiting }

  /// Whether the next entry delivers an event to the guest before anything else, or completes an instruction: what the
  /// guest sees is not yet what it would see on a processor of its own.
  public func isInBetween(_ index: Int) -> Bool {
    let one = virtualProcessors[index]
    // The hardware may have been given an event and stopped at a limit before its delivery.
    return one.controls.injection != nil || one.processor.activeControls.injection != nil || one.assist != nil
  }
}
