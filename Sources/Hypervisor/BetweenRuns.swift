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

  /// Whether one of the guest's processors is in HLT.
  public func isHalted(_ index: Int) -> Bool { virtualProcessors[index].isWaiting }

  /// Whether the next entry delivers an event to the guest before anything else, or completes an instruction: what the
  /// guest sees is not yet what it would see on a processor of its own.
  public func isInBetween(_ index: Int) -> Bool {
    virtualProcessors[index].controls.injection != nil || virtualProcessors[index].assist != nil
  }
}
