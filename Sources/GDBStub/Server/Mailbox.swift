import Glibc
import Synchronization

/// What comes from gdb, on its way from the network's thread to the one that owns the machine.
public final class Mailbox: Sendable {
  public enum Letter: Sendable {
    case connected(Connection)
    case packet([UInt8])
    case interrupt
    case closed

    /// Whether a running machine is to stop for it.
    var isUrgent: Bool {
      if case .packet = self { return false }
      return true
    }
  }

  private let letters = Mutex<[Letter]>([])
  private let reading: Int32
  private let writing: Int32
  /// Stops a machine that is running.
  private let stop: @Sendable () -> Void

  public init(stop: @escaping @Sendable () -> Void) {
    var ends: [Int32] = [-1, -1]
    if pipe(&ends) == 0 {
      for end in ends {
        _ = fcntl(end, F_SETFL, O_NONBLOCK)
        _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      }
    }
    (reading, writing) = (ends[0], ends[1])
    self.stop = stop
  }

  deinit {
    close(reading)
    close(writing)
  }

  /// Readable while there is a letter.
  public var descriptor: Int32 { reading }

  /// gdb waits for answers; whoever does not is not kept in memory without end.
  private static let mostPackets = 4096

  func post(_ letter: Letter) {
    letters.withLock { letters in
      if letter.isUrgent || letters.count < Self.mostPackets { letters.append(letter) }
    }
    // A full pipe is readable already.
    var byte: UInt8 = 0
    _ = write(writing, &byte, 1)
    if letter.isUrgent { stop() }
  }

  /// Whether a letter has come for which a machine should not run.
  var hasUrgent: Bool { letters.withLock { $0.contains(where: \.isUrgent) } }

  /// The next letter, waiting for one so many milliseconds at most.
  func take(wait milliseconds: Int32) -> Letter? {
    if let letter = next() { return letter }
    guard milliseconds > 0 else { return nil }
    var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    _ = poll(&request, 1, milliseconds)
    return next()
  }

  private func next() -> Letter? {
    letters.withLock { letters in
      guard !letters.isEmpty else { return nil }
      if letters.count == 1 {
        var bytes = [UInt8](repeating: 0, count: 512)
        while read(reading, &bytes, bytes.count) > 0 {}
      }
      return letters.removeFirst()
    }
  }
}
