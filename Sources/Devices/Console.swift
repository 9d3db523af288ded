/// Where a device's bytes come from and go to: the host's side of the serial port and of the debug console.
///
/// Both directions are numbered from the machine's start, and the numbers are part of the devices' state. So a restored
/// snapshot reads the same input again, and a console can tell a byte that it has already shown from a new one.
/// A console must not call the devices back.
public protocol Console: AnyObject {
  /// Takes an output byte, the `index`th since the machine started. A smaller index than the last one means that the
  /// machine went back to a snapshot.
  func write(_ byte: UInt8, at index: Int)

  /// The `index`th byte of input, or nil when it has not arrived. A byte that was given once must stay available
  /// for as long as a snapshot may go back to it.
  func byte(at index: Int) -> UInt8?

  /// Whether no byte will ever arrive at `index`.
  func isExhausted(at index: Int) -> Bool

  /// Whether `byte(at:)` waits until the byte is there or the input has ended, so that when a byte comes never decides
  /// what a run does. Such a console is asked only for bytes that the guest waits for.
  var waits: Bool { get }

  /// Waits until the byte at `index` is there, for a machine that has nothing else to do. False if it will not come, or
  /// waiting was ended.
  func awaitByte(at index: Int) -> Bool
}

extension Console {
  public var waits: Bool { false }
  public func awaitByte(at index: Int) -> Bool { byte(at: index) != nil }
}

/// A console in memory, for tests and for machines embedded in another program.
public final class BufferConsole: Console {
  /// The input, from the machine's start; bytes may be appended while the machine runs.
  public var input: [UInt8]

  /// What the machine wrote. Going back to a snapshot drops what was written after it once the machine writes again.
  public private(set) var output: [UInt8] = []

  /// Whether bytes may still be appended to the input.
  public var isOpen: Bool

  /// Makes a console whose input is complete unless it is said to be open.
  public init(input: [UInt8] = [], isOpen: Bool = false) {
    self.input = input
    self.isOpen = isOpen
  }

  /// The output as text.
  public var text: String { String(decoding: output, as: UTF8.self) }

  public func write(_ byte: UInt8, at index: Int) {
    if index < output.count { output.removeSubrange(max(index, 0)...) }
    output.append(byte)
  }

  public func byte(at index: Int) -> UInt8? { input.indices.contains(index) ? input[index] : nil }

  public func isExhausted(at index: Int) -> Bool { !isOpen && index >= input.count }
}
