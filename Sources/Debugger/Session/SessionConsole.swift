import Devices
import Emulator

/// The guest's serial port under a debugger. Output goes where the prompt's does; input is logged by the moment at which
/// the guest could see it first, so that a run through the past gets it no sooner and no later.
public final class SessionConsole: Console {
  /// Where input comes from: the byte at an index, or nil if there is none yet.
  public let source: any Console
  /// Bytes arrive in their own time.
  private var isLive: Bool
  /// Takes what the guest writes, each byte once, however often the machine goes through the same past.
  public var output: ([UInt8]) -> Void = { _ in }
  /// The last byte that was shown ended a line, or there was none.
  public private(set) var isAtLineStart = true
  var now: () -> Moment = { Moment(instructions: 0) }

  private var shown = 0
  private var pending: [UInt8] = []
  /// Input bytes that the guest may see.
  private var available = 0
  /// Input of another session that comes before the source's own, and the source's bytes that came before that.
  private var replayed: [UInt8] = []
  private var passed = 0
  /// How many bytes could be seen from which moment on.
  private var log: [(moment: Moment, available: Int)] = []

  /// - Parameter source: the guest's input; one that is no terminal is there from the beginning.
  public init(source: any Console) {
    self.source = source
    isLive = !source.waits && !source.isExhausted(at: Int.max)
  }

  /// Bytes of output so far.
  public var written: Int { shown }

  public func write(_ byte: UInt8, at index: Int) {
    guard index >= shown else { return }
    shown = index + 1
    pending.append(byte)
    isAtLineStart = byte == 0x0a
    if isAtLineStart || pending.count >= 1024 { flush() }
  }

  /// Shows what has been written.
  public func flush() {
    guard !pending.isEmpty else { return }
    output(pending)
    pending.removeAll(keepingCapacity: true)
  }

  /// Ends the guest's last line, so that what comes next stands at the start of one.
  public func endLine() {
    flush()
    guard !isAtLineStart else { return }
    output([0x0a])
    isAtLineStart = true
  }

  // MARK: Input

  public func byte(at index: Int) -> UInt8? {
    guard isLive else { return source.byte(at: index) }
    return index < available ? arrived(index) : nil
  }

  public func isExhausted(at index: Int) -> Bool {
    index >= replayed.count && source.isExhausted(at: index - replayed.count + passed)
  }

  /// The byte at an index, if it has come.
  private func arrived(_ index: Int) -> UInt8? {
    index < replayed.count ? replayed[index] : source.byte(at: index - replayed.count + passed)
  }

  public var waits: Bool { source.waits }

  public func awaitByte(at index: Int) -> Bool {
    guard isLive else { return source.awaitByte(at: index) }
    if index < available { return true }
    flush()
    guard index < (log.last?.available ?? 0) || awaitSource(index) else { return false }
    see(index + 1, at: now())
    return true
  }

  private func awaitSource(_ index: Int) -> Bool {
    index < replayed.count || source.awaitByte(at: index - replayed.count + passed)
  }

  /// Lets the guest see what has arrived: in the past what had, at the end of the log what is there now.
  func receive(at moment: Moment) {
    guard isLive else { return }
    // A guest's question without a newline has to be seen before somebody answers it.
    flush()
    if let last = log.last, moment <= last.moment {
      available = log.last { $0.moment <= moment }?.available ?? 0
      return
    }
    var count = available
    while arrived(count) != nil { count += 1 }
    if count > available { see(count, at: moment) }
  }

  private func see(_ count: Int, at moment: Moment) {
    available = count
    if log.last.map({ $0.available < count }) ?? true { log.append((moment, count)) }
  }

  /// The machine has gone to another moment.
  func travel(to moment: Moment) { available = log.last { $0.moment <= moment }?.available ?? 0 }

  /// What was typed, and from when on the guest could see it. Input that is there from the beginning is not told.
  var recorded: [SessionRecord.Input] {
    var inputs: [SessionRecord.Input] = []
    var first = 0
    for (moment, available) in log {
      inputs.append(.init(moment: moment, bytes: (first..<available).compactMap { arrived($0) }))
      first = available
    }
    return inputs
  }

  /// Gives the guest another session's input, from the beginning on.
  func replay(_ inputs: [SessionRecord.Input]) {
    passed += max((log.last?.available ?? 0) - replayed.count, 0)
    replayed = []
    log = []
    for input in inputs {
      replayed += input.bytes
      log.append((input.moment, replayed.count))
    }
    available = 0
    isLive = true
  }

  /// The moments at which input came, for runs through the past to be cut at.
  var moments: [Moment] { log.map(\.moment) }
}
