/// An exception that the guest raised, whether or not it could be delivered.
public struct RaisedException: Equatable, Sendable {
  public var exception: GuestException
  /// RIP of the instruction, or of the one that comes next after a trap.
  public var rip: UInt64
  /// Instructions retired before.
  public var retired: UInt64
}

/// What a fault during the delivery of an event makes (SDM vol. 3, 6.15, tables 6-4 and 6-5).
extension Processor {
  private enum EventClass { case benign, contributory, pageFault, doubleFault }

  private static func classify(_ exception: GuestException) -> EventClass {
    switch exception.vector {
    case 8: .doubleFault
    // #VE counts as a page fault, #CP as contributory.
    case 14, 20: .pageFault
    case 21: .contributory
    default: exception.isContributory ? .contributory : .benign
    }
  }

  /// The event to deliver when delivering `first` raised `second`: `second` itself, a double fault, or nil for a triple
  /// fault.
  public static func combine(first: Event, second: GuestException) -> Event? {
    // Interrupts, and software interrupts of every vector, are benign.
    guard case .exception(let exception) = first else { return .exception(second) }
    switch (classify(exception), classify(second)) {
    case (.doubleFault, .contributory), (.doubleFault, .pageFault): return nil
    case (.contributory, .contributory), (.pageFault, .contributory), (.pageFault, .pageFault):
      return .exception(.doubleFault)
    default: return .exception(second)
    }
  }

  /// The same for a running guest: a page fault leaves its address in CR2 even where it becomes part of a double fault.
  /// The hypervisor calls it when a page fault that it intercepted turns out to be the guest's own.
  public func escalate(_ first: Event, with second: GuestException) -> Event? {
    if second.vector == 14 { s.pointee.cr2 = second.address }
    note(second)
    return Processor.combine(first: first, second: second)
  }

  /// Delivers an event, and what comes of it when its delivery faults.
  ///
  /// An exit in the middle is left in `stop` with the event that was being delivered: it is injected again once the
  /// hypervisor has resolved the fault, and never makes a double fault.
  /// - Returns: whether something was delivered. Else `stop` says why not, or is `none` after a shutdown.
  func deliverOrEscalate(_ event: Event) -> Bool {
    var current = event
    // Benign exceptions follow one another, and those in whose delivery the same is raised again do so for ever: #AC,
    // where its handler is ring 3's and the stack is misaligned. Silicon locks up: it comes to no boundary any more at
    // which an interrupt or an NMI could reach it (Xen security advisory 156).
    for _ in 0..<16 {
      if case .exception(let exception) = current { note(exception) }
      do throws(Stopped) {
        try deliver(current)
        return true
      } catch {
        guard case .exception(let second) = stop else { return false }
        stop = .none
        guard let next = escalate(current, with: second) else {
          tripleFault()
          return false
        }
        current = next
      }
    }
    stop = .lockedUp
    return false
  }

  /// Remembers an exception for messages. One that is delivered anew, after the hypervisor has resolved a fault on the
  /// way, or as the outcome of an escalation, is the same still.
  private func note(_ exception: GuestException) {
    let raised = RaisedException(exception: exception, rip: s.pointee.rip, retired: s.pointee.retired)
    guard raised != raisedExceptions.last else { return }
    raisedExceptions.append(raised)
    if raisedExceptions.count > 8 { raisedExceptions.removeFirst() }
  }

  private func tripleFault() {
    if controls.intercepts.contains(.tripleFault) {
      stop = .exit(VMExit(.tripleFault))
    } else {
      s.pointee.isShutDown = true
    }
  }
}
