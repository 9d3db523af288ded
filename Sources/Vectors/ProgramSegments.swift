import Machine

/// The segments of programs of 16 and 32 bits: one local descriptor table, the same in every vector. A vector that gives
/// CS by a selector of it is of such code.
///
/// All descriptors are of ring 3, with the accessed and the available bit set.
public enum ProgramSegments {
  /// One descriptor.
  public struct Entry: Sendable {
    public var base: UInt32
    /// As it stands in the descriptor: bytes, or pages where the granularity bit is set.
    public var limit: UInt32
    /// Of four bits, without the accessed bit: 2 data, 6 data that expands down, 10 code; less 2 where it may only be
    /// read or executed.
    public var type: UInt8
    /// D/B.
    public var isBig = false
    public var hasPages = false
    public var isPresent = true
  }

  /// In the order of the selectors 7, 0xf, 0x17...
  public static let table: [Entry] = [
    // Flat code and data.
    Entry(base: 0, limit: 0xf_ffff, type: 10, isBig: true, hasPages: true),
    Entry(base: 0, limit: 0xf_ffff, type: 2, isBig: true, hasPages: true),
    // Code of 16 bits, whole and up to the middle; data and a stack.
    Entry(base: code, limit: 0xffff, type: 10), Entry(base: code, limit: 0x8fff, type: 10),
    Entry(base: data, limit: 0x3fff, type: 2), Entry(base: stack, limit: 0x1fff, type: 2),
    // Code of 32 bits, whole and up to the middle; data and a stack.
    Entry(base: code, limit: 0xffff, type: 10, isBig: true), Entry(base: code, limit: 0x8fff, type: 10, isBig: true),
    Entry(base: data, limit: 0x2080, type: 2, isBig: true), Entry(base: stack, limit: 0x1fff, type: 2, isBig: true),
    // Data that expand down, of 16 and of 32 bits.
    Entry(base: data, limit: 0x0fef, type: 6), Entry(base: data, limit: 0x1040, type: 6, isBig: true),
    // Read only, execute only, and not present.
    Entry(base: data, limit: 0x3fff, type: 0, isBig: true), Entry(base: code, limit: 0xffff, type: 8, isBig: true),
    Entry(base: data, limit: 0x3fff, type: 2, isPresent: false),
    Entry(base: code, limit: 0xffff, type: 10, isPresent: false),
  ]

  private static let code: UInt32 = 0x1000_0000
  private static let data: UInt32 = 0x2000_0000
  private static let stack: UInt32 = 0x3000_0000

  /// The selector of an entry, for ring 3.
  public static func selector(_ index: Int) -> UInt16 { UInt16(index * 8 + 7) }

  /// The segment that a selector names; one that is not there for a selector of nothing.
  public static func segment(_ selector: UInt64?) -> Segment {
    let selector = UInt16(truncatingIfNeeded: selector ?? 0)
    let index = Int(selector >> 3)
    guard selector & 4 != 0, index < table.count else {
      return Segment(selector: selector, base: 0, limit: 0, attributes: 0)
    }
    return table[index].descriptor.segment(selector: selector)
  }

  /// The segment registers that vectors speak of.
  static let registers: [(name: VectorRegister, segment: SegmentRegister)] = [
    (.cs, .cs), (.ss, .ss), (.ds, .ds), (.es, .es),
  ]
}

extension ProgramSegments.Entry {
  /// As it stands in the table.
  public var descriptor: Descriptor {
    let attributes =
      UInt64(0x71 | type | (isPresent ? 0x80 : 0)) | 1 << 12 | (isBig ? 1 << 14 : 0) | (hasPages ? 1 << 15 : 0)
    return Descriptor(
      low: UInt64(limit & 0xffff) | UInt64(base & 0xff_ffff) << 16 | attributes << 40 | UInt64(limit >> 16) << 48
        | UInt64(base >> 24) << 56)
  }
}
