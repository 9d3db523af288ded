import Foundation

/// Standard input as a guest's serial line reads it. What was read is kept, so that a snapshot can go back and several
/// runs can read the same.
///
/// A file or a pipe is consumed on demand: whoever asks for a byte waits until it is there or the input has ended,
/// however long the host takes, so that runs are alike. A terminal's bytes arrive when they are typed.
final class HostInput {
  /// Milliseconds between two looks at whether somebody wants to stop.
  private static let period: Int32 = 100
  /// Looks in vain until a person is told.
  private static let patience = 20

  private let stream: Int32
  private var bytes: [UInt8] = []
  private var ended = false
  private let isInterrupted: () -> Bool
  /// Bytes arrive in their own time; nobody waits for them.
  let isLive: Bool
  /// Called before a wait.
  var beforeWaiting: () -> Void = {}
  /// Called once, when a wait has become long.
  var whenWaitIsLong: () -> Void = {}

  /// - Parameter isInterrupted: whether waiting is to end without a byte.
  init(_ stream: Int32 = STDIN_FILENO, isInterrupted: @escaping () -> Bool = { Interruption.wasRequested }) {
    self.stream = stream
    self.isInterrupted = isInterrupted
    isLive = isatty(stream) == 1
  }

  /// The byte at an index; nil if there will be none, or at a terminal when it has not been typed.
  func byte(at index: Int) -> UInt8? {
    if !isLive { return awaitByte(at: index) ? bytes[index] : nil }
    if index >= bytes.count && !ended && isReady(in: 0) { read() }
    return bytes.indices.contains(index) ? bytes[index] : nil
  }

  /// Waits for the byte at an index, at a terminal too. False if there will be none, or somebody wants to stop.
  func awaitByte(at index: Int) -> Bool {
    while index >= bytes.count && !ended {
      guard isReady(in: 0) || wait() else { return false }
      read()
    }
    return bytes.indices.contains(index)
  }

  /// Whether no byte will ever arrive at an index.
  func isExhausted(at index: Int) -> Bool { ended && index >= bytes.count }

  private func isReady(in milliseconds: Int32) -> Bool {
    var request = pollfd(fd: stream, events: Int16(POLLIN), revents: 0)
    return poll(&request, 1, milliseconds) > 0
  }

  /// Waits until there is something to read. False when somebody wants to stop.
  private func wait() -> Bool {
    beforeWaiting()
    var looks = 0
    while !isInterrupted() {
      if isReady(in: Self.period) { return true }
      looks += 1
      if looks == Self.patience {
        whenWaitIsLong()
        whenWaitIsLong = {}
      }
    }
    return false
  }

  /// Reads what there is.
  private func read() {
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = Foundation.read(stream, &chunk, chunk.count)
    if count > 0 { bytes += chunk[..<count] }
    if count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN) { ended = true }
  }
}
