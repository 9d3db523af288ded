/// QEMU's firmware configuration device (QEMU docs/specs/fw_cfg): port 0x510 selects an item, port 0x511 gives its
/// bytes one after the other.
public struct FirmwareConfig: Equatable, Sendable {
  /// Item 5: the number of processors.
  public let processors: UInt16
  private var item: UInt16 = 0
  private var offset = 0

  public init(processors: Int) {
    self.processors = UInt16(clamping: processors)
  }

  /// Selects an item, from its first byte on.
  public mutating func select(_ item: UInt16) {
    self.item = item
    offset = 0
  }

  /// The next byte of the item; zero after its end, and for an item that does not exist.
  public mutating func next() -> UInt8 {
    let contents = contents
    guard offset < contents.count else { return 0 }
    defer { offset += 1 }
    return contents[offset]
  }

  private var contents: [UInt8] {
    switch item {
    case 0: Array("QEMU".utf8)
    case 5: [UInt8(truncatingIfNeeded: processors), UInt8(truncatingIfNeeded: processors >> 8)]
    default: []
    }
  }
}
