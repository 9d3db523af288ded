import Devices
import Hypervisor
import Machine

/// One of the machines that run in step, and what it is compared by.
final class Lane {
  let kind: PagingKind
  let machine: VirtualMachine
  /// The earliest point that one can go back to, and the number of instructions there.
  private(set) var origin: (instructions: UInt64, snapshot: Snapshot)?
  private let events: [EventLog]
  private let writes: WriteLog
  /// Written once, never freed.
  nonisolated(unsafe) private static let zeros = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)
    .initialized

  init(_ configuration: Configuration, _ guest: GuestImage, _ console: any Console) throws(SetupError) {
    kind = configuration.paging
    machine = try VirtualMachine(configuration, guest: guest, console: console)
    events = machine.processors.map { EventLog($0) }
    for (processor, log) in zip(machine.processors, events) { processor.observer = log }
    writes = WriteLog(machine.memory)
    origin = (0, snapshot())
  }

  var processors: Range<Int> { machine.processors.indices }

  /// Whether nothing is half done: no event waits to be delivered, no instruction to be completed.
  var isSettled: Bool {
    processors.allSatisfy { index in
      machine.processors[index].state.pendingDebug == 0 && !(machine.hypervisor?.isInBetween(index) ?? false)
    }
  }

  func state(_ processor: Int) -> ArchitecturalState {
    let one = machine.processors[processor]
    let state = one.state
    return ArchitecturalState(
      state, time: one.guestTime, isHalted: state.isHalted || machine.hypervisor?.isHalted(processor) ?? false)
  }

  func events(_ processor: Int) -> EventLog.State { events[processor].state }
  var accesses: AccessLog { machine.devices.state.accesses }

  // MARK: Memory

  /// The guest frames that were written to since the last call.
  func writtenFrames() -> [UInt64] {
    let frames = writes.collect()
    guard let hypervisor = machine.hypervisor else { return frames }
    return frames.compactMap { hypervisor.guestAddress(of: HostPhysical($0 << 12))?.frame }
  }

  /// Every guest frame that may hold something else than zeros.
  func touchedFrames() -> [UInt64] {
    guard let hypervisor = machine.hypervisor else {
      return machine.memory.frameRanges.flatMap { $0.filter(machine.memory.isTouched(frame:)) }
    }
    return hypervisor.frameMap.image().map(\.frame)
  }

  /// The bytes of a guest frame; a frame that was never populated reads as zeros.
  func bytes(ofFrame frame: UInt64) -> UnsafeRawBufferPointer {
    let host = machine.hypervisor?.hostAddress(of: GuestPhysical(frame << 12)) ?? nativeAddress(frame)
    guard let host, machine.memory.contains(host) else { return UnsafeRawBufferPointer(start: Lane.zeros, count: 4096) }
    return UnsafeRawBufferPointer(start: machine.memory.base + Int(host.rawValue), count: 4096)
  }

  private func nativeAddress(_ frame: UInt64) -> HostPhysical? {
    machine.hypervisor == nil ? HostPhysical(frame << 12) : nil
  }

  func word(_ address: GuestPhysical) -> UInt64 {
    bytes(ofFrame: address.frame).loadUnaligned(fromByteOffset: Int(address.pageOffset & ~7), as: UInt64.self)
  }

  // MARK: Going back

  struct Snapshot {
    fileprivate let machine: VirtualMachine.Snapshot
    fileprivate let events: [EventLog.State]
  }

  func snapshot() -> Snapshot { Snapshot(machine: machine.snapshot(), events: events.map(\.state)) }

  func restore(_ snapshot: Snapshot) {
    machine.restore(snapshot.machine)
    for (log, saved) in zip(events, snapshot.events) { log.state = saved }
    writes.watchAll()
  }

  /// Runs to a number of instructions, all processors' together.
  func run(to instructions: UInt64) -> RunOutcome { machine.run(until: .init(instructions: instructions)) }

  // MARK: Looking closely

  /// The addresses for which the hardware walks until a number of instructions has been executed, all TLBs empty at
  /// first.
  func walks(to instructions: UInt64) -> [(address: GuestVirtual, access: Access, result: WalkResult)] {
    for (processor, log) in zip(machine.processors, events) {
      processor.flushAll()
      log.walks = []
    }
    _ = run(to: instructions)
    defer { for log in events { log.walks = nil } }
    return events.flatMap { $0.walks ?? [] }
  }

  /// Goes on to a number of instructions with a log of what one processor's guest invalidates.
  func noting(_ log: InvalidationLog, on processor: Int, to instructions: UInt64) -> InvalidationLog {
    events[processor].invalidations = log
    _ = run(to: instructions)
    defer { events[processor].invalidations = nil }
    return events[processor].invalidations ?? log
  }
}

extension UnsafeMutableRawPointer {
  /// The same, all zeros for ever.
  fileprivate var initialized: UnsafeRawPointer {
    initializeMemory(as: UInt8.self, repeating: 0, count: 4096)
    return UnsafeRawPointer(self)
  }
}
