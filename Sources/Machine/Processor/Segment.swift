/// A segment register with its hidden part (SDM vol. 3, 3.4.3).
@frozen public struct Segment: Equatable, Sendable {
  public var selector: UInt16
  /// Bits 8 to 23 of the descriptor's upper half, shifted down by 8: type, S, DPL, P, limit 19:16 (ignored), AVL, L,
  /// D/B, G.
  public var attributes: UInt16
  /// In bytes, the granularity applied.
  public var limit: UInt32
  public var base: UInt64

  public init(selector: UInt16, base: UInt64, limit: UInt32, attributes: UInt16) {
    self.selector = selector
    self.base = base
    self.limit = limit
    self.attributes = attributes
  }

  /// A null selector: nothing usable.
  public static let null = Segment(selector: 0, base: 0, limit: 0, attributes: 0)

  public var type: UInt16 { attributes & 0xf }
  /// S: code or data, not a system descriptor.
  public var isCodeOrData: Bool { attributes & 0x10 != 0 }
  public var privilegeLevel: UInt8 { UInt8((attributes >> 5) & 3) }
  public var isPresent: Bool { attributes & 0x80 != 0 }
  /// L and D/B.
  public var isLong: Bool { attributes & 0x2000 != 0 }
  public var isBig: Bool { attributes & 0x4000 != 0 }
  public var isCode: Bool { isCodeOrData && type & 8 != 0 }
  /// Code: readable; data: always.
  public var isReadable: Bool { isCodeOrData && (type & 8 == 0 || type & 2 != 0) }
  public var isWritable: Bool { isCodeOrData && type & 8 == 0 && type & 2 != 0 }
  /// Code: conforming. Data: expands down.
  public var isConforming: Bool { isCode && type & 4 != 0 }
  public var expandsDown: Bool { isCodeOrData && type & 8 == 0 && type & 4 != 0 }
}

/// A descriptor as it stands in the GDT, LDT or IDT.
@frozen public struct Descriptor: Equatable, Sendable {
  public var low: UInt64
  /// The upper eight bytes of a system descriptor of IA-32e mode.
  public var high: UInt64

  public init(low: UInt64, high: UInt64 = 0) {
    self.low = low
    self.high = high
  }

  /// What a segment register's hidden part becomes when the descriptor is loaded.
  public func segment(selector: UInt16) -> Segment {
    let base = (low >> 16) & 0xff_ffff | ((low >> 56) & 0xff) << 24 | (high & 0xffff_ffff) << 32
    let raw = UInt32(low & 0xffff) | UInt32((low >> 48) & 0xf) << 16
    let attributes = UInt16((low >> 40) & 0xf0ff)
    let limit = attributes & 0x8000 != 0 ? raw << 12 | 0xfff : raw
    return Segment(selector: selector, base: base, limit: limit, attributes: attributes)
  }
}

/// GDTR or IDTR.
@frozen public struct DescriptorTable: Equatable, Sendable {
  public var base: UInt64
  public var limit: UInt16

  public init(base: UInt64, limit: UInt16) {
    self.base = base
    self.limit = limit
  }
}
