import Debugger
import Devices
import Emulator
import Machine

/// Answers gdb's requests for a session. It knows nothing of connections: requests come in, answers go out, and what has
/// to run the machine is told, to be done by whoever owns it.
public final class Stub {
  let session: Session
  let registers: [Register]
  let monitor: Monitor
  let symbolFile: SymbolFile?
  /// Processors that registers and memory are of, and that a step is of.
  private var selected = 0
  private var runner = 0
  /// Breakpoints that gdb has inserted, with their numbers in the session.
  var inserted: [BreakpointRequest: Int] = [:]
  /// Addresses of memory are guest-physical.
  private(set) var isMemoryPhysical = false
  /// gdb knows the stop reasons `swbreak` and `hwbreak`.
  private(set) var knowsReasons = false
  /// How a step deals with interrupts, in QEMU's bits.
  private(set) var stepFlags = StepFlag.all
  /// gdb has been told that the guest has ended: going on leaves it.
  private var hasToldEnd = false

  /// - Parameters:
  ///   - symbols: an ELF file whose symbols are served instead of the guest's own.
  ///   - prepare: gives the prompt of `monitor` what it needs of the world.
  public init(_ session: Session, symbols: [UInt8]? = nil, prepare: (Prompt) -> Void = { _ in }) {
    self.session = session
    registers = Register.all(of: session)
    monitor = Monitor(session)
    prepare(monitor.prompt)
    let guest = session.machine.guest
    symbolFile = SymbolFile(symbols ?? guest.bytes, name: guest.name)
  }

  /// What follows an answer.
  public enum Consequence: Equatable, Sendable {
    case nothing
    case stopAcknowledging
    /// The machine is to run; the stop that it comes to is the answer.
    case resume(Resumption)
    /// gdb lets the machine go on alone, or wants its end.
    case detach, kill
    /// The guest has ended, and gdb has been told that twice.
    case end(RunOutcome)
  }

  /// How the machine is to run.
  public enum Resumption: Equatable, Sendable {
    case run
    case step(processor: Int)
    case range(processor: Int, from: UInt64, to: UInt64)
    case reverseStep(processor: Int)
    case reverseRun
  }

  public struct Answer: Equatable, Sendable {
    /// Payloads, in order.
    public var packets: [[UInt8]]
    public var consequence = Consequence.nothing

    static func text(_ text: String) -> Answer { Answer(packets: [Array(text.utf8)]) }
    static let ok = text("OK")
    /// What is not known is answered by nothing.
    static let unknown = text("")
    static let invalid = text("E22")
    static let fault = text("E14")
    static let noSuchThread = text("E03")
  }

  /// QEMU's flags of stepping.
  enum StepFlag {
    static let enabled: UInt64 = 1
    /// Interrupts that come during a step run to their end before it.
    static let passesInterrupts: UInt64 = 2
    static let passesTimers: UInt64 = 4
    static let all = enabled | passesInterrupts | passesTimers
  }

  /// A new connection begins as the first one did.
  public func connect() {
    disconnect()
    selected = session.selected
    runner = session.selected
    isMemoryPhysical = false
    knowsReasons = false
    stepFlags = StepFlag.all
    hasToldEnd = false
  }

  /// Nobody is there any more who would meet a breakpoint.
  public func disconnect() {
    for number in inserted.values { session.delete(number) }
    inserted = [:]
  }

  // MARK: Answers

  public func answer(_ request: Request) -> Answer {
    switch request {
    case .whyStopped: return Answer(packets: [stopReply(reasons: "")])
    case .supported(let features): return supported(features)
    case .stopAcknowledging: return Answer(packets: Answer.ok.packets, consequence: .stopAcknowledging)
    case .readRegisters, .writeRegisters, .readRegister, .writeRegister: return registerAnswer(request)
    case .readMemory(let address, let count):
      return memory(address, min(count, Packet.size / 2)).map { Answer(packets: [Hex.text($0)]) } ?? .fault
    case .readBinaryMemory(let address, let count):
      return memory(address, min(count, Packet.size - 1)).map { Answer(packets: [[UInt8(ascii: "b")] + $0]) } ?? .fault
    case .writeMemory(let address, let bytes): return write(bytes, at: address) ? .ok : .fault
    case .selectThread(let threads, let isForRunning): return select(threads, isForRunning: isForRunning)
    case .isThreadAlive(let threads): return processor(of: threads) == nil ? .noSuchThread : .ok
    case .firstThreads:
      return .text("m" + session.machine.processors.map { Self.number($0.index + 1) }.joined(separator: ","))
    case .moreThreads: return .text("l")
    case .currentThread: return .text("QC" + Self.number(selected + 1))
    case .threadText(let threads):
      guard let index = processor(of: threads) else { return .noSuchThread }
      return Answer(packets: [Hex.text("cpu \(index) (\(state(of: index)))".utf8)])
    case .resume, .resumeAt, .reverseStep, .reverseContinue: return resumption(request)
    case .resumeKinds: return .text("vCont;c;C;s;S;t;r")
    case .insert(let breakpoint, let conditions): return insert(breakpoint, conditions)
    case .remove(let breakpoint):
      if let number = inserted.removeValue(forKey: breakpoint) { session.delete(number) }
      return .ok
    case .transfer(let object, let annex, let offset, let length): return transfer(object, annex, offset, length)
    case .isAttached: return .text("1")
    case .monitor(let line): return monitored(line)
    case .emulatorFeatures: return .text("sstepbits;sstep;PhyMemMode")
    case .isMemoryPhysical: return .text(isMemoryPhysical ? "1" : "0")
    case .setMemoryPhysical(let value):
      isMemoryPhysical = value
      return .ok
    case .stepFlagBits:
      return .text(
        "ENABLE=\(StepFlag.enabled),NOIRQ=\(StepFlag.passesInterrupts),NOTIMER=\(StepFlag.passesTimers)")
    case .stepFlags: return .text("0x" + Self.number(Int(stepFlags)))
    case .setStepFlags(let flags):
      guard flags & ~StepFlag.all == 0 else { return .invalid }
      stepFlags = flags
      return .ok
    case .file(let request): return Answer(packets: [symbolFile?.answer(request) ?? SymbolFile.notFound])
    case .symbolsOffered: return .ok
    case .detach: return Answer(packets: Answer.ok.packets, consequence: .detach)
    case .kill: return Answer(packets: [], consequence: .kill)
    case .killProcess: return Answer(packets: Answer.ok.packets, consequence: .kill)
    case .malformed: return .invalid
    case .unknown: return .unknown
    }
  }

  static func number(_ value: Int) -> String { String(value, radix: 16) }

  private func supported(_ features: [String]) -> Answer {
    knowsReasons = features.contains("swbreak+") && features.contains("hwbreak+")
    var list = [
      "PacketSize=\(Self.number(Packet.size))", "QStartNoAckMode+", "qXfer:features:read+", "qXfer:memory-map:read+",
      "qXfer:threads:read+", "ConditionalBreakpoints+", "swbreak+", "hwbreak+", "vContSupported+", "binary-upload+",
    ]
    if session.timeline.isRecording { list += ["ReverseStep+", "ReverseContinue+"] }
    if symbolFile != nil { list.append("qXfer:exec-file:read+") }
    return .text(list.joined(separator: ";"))
  }

  private func transfer(_ object: String, _ annex: String, _ offset: Int, _ length: Int) -> Answer {
    let whole: [UInt8]
    switch (object, annex) {
    case ("features", "target.xml"): whole = Array(TargetDescription.xml(registers).utf8)
    case ("memory-map", ""): whole = Array(TargetDescription.memoryMap.utf8)
    case ("threads", ""):
      whole = Array(TargetDescription.threads(session.machine.processors.map { state(of: $0.index) }).utf8)
    case ("exec-file", _):
      guard let symbolFile else { return .unknown }
      whole = Array(symbolFile.path.utf8)
    case ("features", _): return .text("E00")
    default: return .unknown
    }
    guard offset < whole.count else { return .text("l") }
    let piece = whole[offset...].prefix(min(length, Packet.size / 2))
    return Answer(packets: [[UInt8(ascii: offset + piece.count < whole.count ? "m" : "l")] + piece])
  }

  // MARK: Threads

  /// The index of a processor that exists.
  private func processor(of threads: ThreadSelection) -> Int? {
    guard let index = threads.processor else { return selected }
    return session.machine.processors.indices.contains(index) ? index : nil
  }

  private func select(_ threads: ThreadSelection, isForRunning: Bool) -> Answer {
    guard let index = processor(of: threads) else { return .noSuchThread }
    if isForRunning { runner = index } else { selected = index }
    return .ok
  }

  private func state(of index: Int) -> String {
    let processor = session.machine.processors[index]
    return processor.awaitsStartUp ? "waits to be started" : processor.state.isHalted ? "halted" : "running"
  }

  /// Does something with the processor selected that gdb has chosen.
  func withSelected<Result>(_ body: () -> Result) -> Result {
    let before = session.selected
    session.selected = selected
    defer { session.selected = before }
    return body()
  }

  // MARK: Memory

  /// Bytes from an address on, as many as there are; nil if there is none.
  private func memory(_ address: UInt64, _ count: Int) -> [UInt8]? {
    withSelected {
      var bytes: [UInt8] = []
      while bytes.count < count {
        let at = address &+ UInt64(bytes.count)
        let piece = min(4096 - Int(at & 0xfff), count - bytes.count)
        guard
          let part = isMemoryPhysical
            ? session.readPhysical(GuestPhysical(at), count: piece) : session.read(at, count: piece)
        else { break }
        bytes += part
      }
      return bytes.isEmpty && count > 0 ? nil : bytes
    }
  }

  private func write(_ bytes: [UInt8], at address: UInt64) -> Bool {
    // A write of nothing asks whether binary data arrive whole.
    guard !bytes.isEmpty else { return true }
    return withSelected {
      isMemoryPhysical
        ? session.writePhysical(bytes, at: GuestPhysical(address)) : session.write(bytes, at: address)
    }
  }

  // MARK: Running

  private func resumption(_ request: Request) -> Answer {
    if let outcome = session.outcome, hasToldEnd, request != .reverseStep, request != .reverseContinue {
      let status = UInt8(truncatingIfNeeded: outcome.exitStatus)
      return Answer(packets: [[UInt8(ascii: "W")] + Hex.text([status])], consequence: .end(outcome))
    }
    let resumption: Resumption
    switch request {
    case .resume(let actions):
      guard let chosen = chosen(actions) else { return Answer(packets: [stopReply(reasons: "")]) }
      resumption = chosen
    case .resumeAt(let address, let kind):
      let register = registers[Register.programCounter]
      session.selected = runner
      _ = register.write(session, address.littleEndianBytes)
      resumption = kind == .run ? .run : .step(processor: runner)
    case .reverseStep: resumption = .reverseStep(processor: runner)
    default: resumption = .reverseRun
    }
    return Answer(packets: [], consequence: .resume(resumption))
  }

  /// What actions come to: a step of one processor goes before the running of the others, which have their turns
  /// meanwhile.
  private func chosen(_ actions: [ResumeAction]) -> Resumption? {
    for action in actions {
      guard let processor = action.threads.processor ?? runner as Int?,
        session.machine.processors.indices.contains(processor)
      else { continue }
      switch action.kind {
      case .step: return .step(processor: processor)
      case .range(let from, let to): return .range(processor: processor, from: from, to: to)
      case .run, .stop: continue
      }
    }
    return actions.contains { $0.kind == .run } ? .run : nil
  }

  /// Runs the machine.
  public func perform(_ resumption: Resumption) -> Stop {
    hasToldEnd = false
    switch resumption {
    case .run: return session.resume()
    case .step(let processor):
      session.selected = processor
      return step()
    case .range(let processor, let from, let to):
      session.selected = processor
      while true {
        let stop = step()
        guard case .stepped = stop, from..<max(from, to) ~= session.programCounter else { return stop }
      }
    case .reverseStep(let processor):
      session.selected = processor
      return session.reverseStepWatching()
    case .reverseRun: return session.reverseContinueBeforeAccesses()
    }
  }

  private func step() -> Stop {
    stepFlags & StepFlag.passesInterrupts != 0 ? session.stepPastInterrupts() : session.step()
  }

  /// What to tell gdb of a stop: text for its console first, where there is more to say than it asks.
  public func report(_ stop: Stop) -> [[UInt8]] {
    selected = session.selected
    runner = session.selected
    switch stop {
    case .stepped, .arrived: return [stopReply(reasons: "")]
    case .interrupted: return [stopReply(signal: 2, reasons: "")]
    case .beginning: return [stopReply(reasons: "replaylog:begin;")]
    case .ended(let outcome):
      hasToldEnd = true
      let text = "The guest has ended: \(outcome.message) (exit status \(outcome.exitStatus)).\n"
      return Monitor.packets(text) + [stopReply(reasons: "replaylog:end;")]
    case .delivered(let event, let rip):
      let text = "\(event.text) at \(monitor.prompt.place(rip)): its handler is entered.\n"
      return Monitor.packets(text) + [stopReply(reasons: "")]
    case .breakpoint(let hits): return report(hits)
    }
  }

  /// `T`, the thread, the registers that gdb wants first.
  func stopReply(signal: UInt8 = 5, reasons: String) -> [UInt8] {
    var text = "T" + (signal < 16 ? "0" : "") + String(signal, radix: 16) + "thread:" + Self.number(selected + 1) + ";"
    withSelected {
      for number in Register.expedited {
        let value = String(decoding: Hex.text(registers[number].read(session)), as: UTF8.self)
        text += (number < 16 ? "0" : "") + Self.number(number) + ":" + value + ";"
      }
    }
    return Array((text + reasons).utf8)
  }

  // MARK: The prompt's commands

  private func monitored(_ line: String) -> Answer {
    let before = session.moment
    let text = withSelected { monitor.output(of: line) }
    var packets = Monitor.packets(text)
    if session.moment != before {
      packets += Monitor.packets("The machine has moved; `maintenance flush register-cache` lets gdb see where to.\n")
    }
    packets += Answer.ok.packets
    return Answer(packets: packets, consequence: monitor.prompt.isDone ? .kill : .nothing)
  }
}
