import Foundation

/// Standard input as a guest's serial line reads it. What was read is kept, so that a snapshot can go back and several
/// runs can read the same.
///
/// A file or a pipe is consumed on demand: the guest gets a byte when it asks for it, whenever the host delivers it, so
/// that runs are alike. A pipe that stays silent, as one that nobody writes to, must not hold up a guest that only
/// looks whether there is input: after `patience` it is treated like a terminal, whose bytes arrive when they are
/// typed.
final class HostInput {
  /// How long a pipe may stay silent, in milliseconds.
  private static let patience: Int32 = 250

  private let stream: Int32
  private var bytes: [UInt8] = []
  private var ended = false
  /// Bytes arrive in their own time; nobody waits for them.
  private(set) var isLive: Bool

  init(_ stream: Int32 = STDIN_FILENO) {
    self.stream = stream
    isLive = isatty(stream) == 1
  }

  /// The byte at an index, or nil when it has not arrived.
  func byte(at index: Int) -> UInt8? {
    while index >= bytes.count && !ended {
      guard fill() else { break }
    }
    return bytes.indices.contains(index) ? bytes[index] : nil
  }

  /// Whether no byte will ever arrive at an index.
  func isExhausted(at index: Int) -> Bool { ended && index >= bytes.count }

  /// Reads what there is. False when nothing came.
  private func fill() -> Bool {
    var request = pollfd(fd: stream, events: Int16(POLLIN), revents: 0)
    let ready = poll(&request, 1, isLive ? 0 : HostInput.patience)
    if ready == 0 { isLive = true }
    guard ready > 0 else { return false }
    var chunk = [UInt8](repeating: 0, count: 4096)
    let count = read(stream, &chunk, chunk.count)
    if count > 0 {
      bytes += chunk[..<count]
      return true
    }
    if count == 0 || (errno != EINTR && errno != EAGAIN) { ended = true }
    return false
  }
}
