import Machine

/// The events that were delivered to the guest on one processor: all of them as a number, the last ones by name.
final class EventLog: MachineObserver {
  /// One event, with RIP and the instructions retired before it.
  struct Entry: Equatable {
    var event: Event
    var rip: UInt64
    var retired: UInt64
  }

  /// What a snapshot keeps.
  struct State: Equatable {
    var count: UInt64 = 0
    var digest: UInt64 = 0xcbf2_9ce4_8422_2325
    var last: [Entry] = []
  }

  var state = State()
  /// The addresses that the hardware walked for, while somebody wants to know them.
  var walks: [(address: GuestVirtual, access: Access, result: WalkResult)]?
  /// What the guest does to drop translations, while somebody wants to know it.
  var invalidations: InvalidationLog?
  private unowned let processor: Processor

  init(_ processor: Processor) { self.processor = processor }

  func delivered(_ event: Event, rip: UInt64, at clock: UInt64) {
    if case .exception(let exception) = event, exception.vector == 14 {
      invalidations?.noteFault(at: GuestVirtual(exception.address))
    }
    let entry = Entry(event: event, rip: rip, retired: processor.instructionsRetired)
    state.count &+= 1
    var words = [UInt64(event.vector), rip, entry.retired]
    if case .exception(let exception) = event { words += [UInt64(exception.errorCode), exception.address] }
    for word in words {
      state.digest = (state.digest ^ word) &* 0x9e37_79b9_7f4a_7c15
      state.digest ^= state.digest >> 29
    }
    state.last.append(entry)
    if state.last.count > 4 { state.last.removeFirst() }
  }

  func happened(_ event: SystemEvent) { invalidations?.note(event, cr4: processor.state.cr4) }

  func walked(_ address: GuestVirtual, access: Access, result: WalkResult) { walks?.append((address, access, result)) }
}
