import Machine

/// What one processor tells the session while it runs. It is there only while somebody wants to know: a processor that
/// nobody observes does not ask.
final class Watcher: MachineObserver {
  /// Something that happened, to be matched with what is to be caught.
  enum Event {
    case delivered(Machine.Event, rip: UInt64)
    case exited(VMExit)
    case system(SystemEvent)
  }

  private unowned let processor: Processor
  /// Whether the run is to pause for an event.
  private let wants: (Event) -> Bool

  init(_ processor: Processor, wants: @escaping (Event) -> Bool) {
    self.processor = processor
    self.wants = wants
    processor.observer = self
  }

  private func see(_ event: Event) { if wants(event) { processor.requestPause() } }

  func exited(_ exit: VMExit, at clock: UInt64, retired: UInt64) { see(.exited(exit)) }
  func delivered(_ event: Machine.Event, rip: UInt64, at clock: UInt64) { see(.delivered(event, rip: rip)) }
  func happened(_ event: SystemEvent) { see(.system(event)) }
}

extension CatchPoint {
  /// What an event is called, if it is one to stop at.
  func match(_ event: Watcher.Event) -> String? {
    switch (self, event) {
    case (.exception(let vector), .delivered(let delivered, let rip)):
      guard !delivered.isExternalInterrupt, vector == nil || vector == delivered.vectorNumber else { return nil }
      return "\(delivered.text) at 0x\(String(rip, radix: 16))"
    case (.interrupt, .delivered(let delivered, let rip)):
      return delivered.isExternalInterrupt ? "\(delivered.text) at 0x\(String(rip, radix: 16))" : nil
    case (.exit(let reason), .exited(let exit)):
      return reason == nil || reason == exit.reason ? exit.text : nil
    case (.systemCall, .system(.systemCall)): return "system call"
    case (.controlRegister(let wanted), .system(.controlRegister(let number, let old, let new))):
      guard wanted == nil ? number != 8 : wanted == number else { return nil }
      return "CR\(number): 0x\(String(old, radix: 16)) -> 0x\(String(new, radix: 16))"
    case (.invalidation, .system(.invalidation(let address))):
      return address.map { "invalidation of \($0)" } ?? "invalidation of a context"
    case (.mode, .system(.mode(let old, let new))): return "\(old.name) -> \(new.name)"
    case (.port(let wanted), .system(.port(let number, let width, let value))):
      guard wanted == nil || wanted == number else { return nil }
      let place = "port 0x\(String(number, radix: 16)), \(width) byte\(width == 1 ? "" : "s")"
      return value.map { "0x\(String($0, radix: 16)) to \(place)" } ?? "read of \(place)"
    case (.modelSpecificRegister(let wanted), .system(.modelSpecificRegister(let number, let value, let isWrite))):
      guard wanted == nil || wanted == number else { return nil }
      let name = "MSR 0x\(String(number, radix: 16))"
      return isWrite ? "0x\(String(value, radix: 16)) to \(name)" : "read of \(name): 0x\(String(value, radix: 16))"
    default: return nil
    }
  }
}

extension Machine.Event {
  var isExternalInterrupt: Bool {
    switch self {
    case .interrupt, .nonMaskable: true
    default: false
    }
  }

  var vectorNumber: UInt8 {
    switch self {
    case .exception(let exception): exception.vector
    case .interrupt(let vector): vector
    case .nonMaskable: 2
    case .software(let vector, _): vector
    case .privilegedSoftware: 1
    }
  }

  /// For people.
  public var text: String {
    switch self {
    case .exception(let exception): exception.description
    case .interrupt(let vector): "interrupt 0x\(String(vector, radix: 16))"
    case .nonMaskable: "NMI"
    case .software(let vector, _): "INT 0x\(String(vector, radix: 16))"
    case .privilegedSoftware: "INT1"
    }
  }
}

extension VMExit {
  /// For people.
  var text: String {
    var text = "exit \(reason.name)"
    switch reason {
    case .pageFault:
      text += " at \(address), error code 0x\(String(errorCode, radix: 16))"
    case .nestedFault, .nestedMisconfiguration, .modificationLogFull:
      if let nested { text += " at guest-physical \(nested.address)\(nested.duringWalk ? ", a table" : "")" }
    case .controlRegister0, .controlRegister3, .controlRegister4: text += ", value 0x\(String(value, radix: 16))"
    case .invalidatePage: text += " of \(address)"
    case .port: text += ", port 0x\(String(port, radix: 16))"
    case .readMSR, .writeMSR: text += ", MSR 0x\(String(number, radix: 16))"
    default: break
    }
    return text
  }
}
