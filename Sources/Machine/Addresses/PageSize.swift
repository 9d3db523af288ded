/// The sizes of page that long mode's tables map.
@frozen public enum PageSize: UInt8, CaseIterable, Comparable, Sendable {
  case page4K = 0
  case page2M = 1
  case page1G = 2

  /// log2 of the size in bytes: 12, 21 or 30.
  @inline(__always) public var shift: UInt64 { 12 &+ 9 &* UInt64(rawValue) }

  /// The size in bytes.
  @inline(__always) public var bytes: UInt64 { 1 << shift }

  /// The bits of an address that select a byte inside the page.
  @inline(__always) public var offsetMask: UInt64 { bytes &- 1 }

  /// The level of the table whose entry maps a page of this size: 1 for a PTE, 2 for a PDE, 3 for a PDPTE.
  @inlinable public var level: Int { Int(rawValue) &+ 1 }

  /// The size that an entry at a table level maps, if that level can map a page at all.
  @inline(__always) public init?(level: Int) {
    switch level {
    case 1: self = .page4K
    case 2: self = .page2M
    case 3: self = .page1G
    default: return nil
    }
  }

  @inlinable public static func < (left: PageSize, right: PageSize) -> Bool { left.rawValue < right.rawValue }
}
