/// One entry of a TLB or of a cache for walks, for somebody who checks them all.
public struct BufferedTranslation: Hashable, Sendable {
  /// Where it is.
  public enum Buffer: String, Sendable, CaseIterable {
    case data = "L1 data TLB"
    case code = "L1 code TLB"
    case second = "L2 TLB"
    case directory = "PDE cache"
    case directoryPointer = "PDPTE cache"
    case topLevel = "PML4E cache"
    case nested = "nested TLB"
    case nestedDirectory = "nested PDE cache"
    case nestedDirectoryPointer = "nested PDPTE cache"

    /// The level of the entries of the table that an entry leads to; nil where it maps a page.
    public var tableLevel: Int? {
      switch self {
      case .directory, .nestedDirectory: 1
      case .directoryPointer, .nestedDirectoryPointer: 2
      case .topLevel: 3
      default: nil
      }
    }

    /// Whether it is one of guest-physical addresses.
    public var isNested: Bool {
      switch self {
      case .nested, .nestedDirectory, .nestedDirectoryPointer: true
      default: false
      }
    }
  }

  public var buffer: Buffer
  fileprivate var key: UInt64
  fileprivate var value: UInt64
  fileprivate var shift: UInt64
  /// Whether it is of the VPID and the nested root in use, and whether it was made by way of a nested root: a tag may have
  /// served shadow roots with and without one, whose translations have nothing to do with each other.
  public fileprivate(set) var isOfRunningSpace: Bool
  public fileprivate(set) var isCombined: Bool

  /// Entries with the same key and value are few, and hashing the rest would cost more than comparing it.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(key)
    hasher.combine(value)
  }

  /// The first address of the page, or of what the table translates.
  public var address: UInt64 {
    let number = (key >> 16 & 0x1fff_ffff_ffff) << shift
    guard !buffer.isNested else { return number }
    // 57 bits are kept.
    return UInt64(bitPattern: Int64(bitPattern: number << 7) >> 7)
  }

  /// Its extent in bytes.
  public var length: UInt64 { 1 << shift }
  /// The PCID, or the shadow root's tag.
  public var context: UInt16 { UInt16(truncatingIfNeeded: key & 0xfff) }
  public var isGlobal: Bool { key & TranslationKey.globalBit != 0 }
  /// Where the page, or the table, begins.
  public var host: HostPhysical { HostPhysical(value & EntryBit.frameMask) }
  /// Whether a write is served without another walk as far as the entry goes.
  public var servesWrites: Bool {
    let entry = TLBEntry(rawValue: value)
    return buffer.tableLevel == nil && !buffer.isNested && entry.permissions.writable && entry.isDirty
      && entry.isHostWritable
  }
  public var isDirty: Bool { TLBEntry(rawValue: value).isDirty }
  /// Whether a write is served as far as the second dimension goes.
  public var letsHostBeWritten: Bool {
    guard buffer.tableLevel == nil else { return false }
    return buffer == .nested ? HostMapping(packed: value, offset: 0).writable : TLBEntry(rawValue: value).isHostWritable
  }

  public var permissions: PagePermissions {
    if buffer == .nested {
      let held = HostMapping(packed: value, offset: 0)
      return PagePermissions(writable: held.writable, user: held.readable, executable: held.executable)
    }
    return buffer.tableLevel.map { CachedTable(value, level: $0).permissions } ?? TLBEntry(rawValue: value).permissions
  }
}

extension Processor {
  /// Every entry that the translation hardware holds for the running virtual machine, in a fixed order.
  ///
  /// - Parameter list: where they go, in place of what it had; its room is used again.
  public func bufferedTranslations(into list: inout [BufferedTranslation]) {
    list.removeAll(keepingCapacity: true)
    let spaces = runningSpaces
    let combined = translation.spaces.numbers { $0.root != nil }
    func visit(_ array: AssociativeArray, _ buffer: BufferedTranslation.Buffer, _ shift: (UInt64) -> UInt64) {
      array.forEachFilled { way in
        let key = array.keys[way]
        // Guest-physical mappings are of nested roots, of which a machine has one.
        guard buffer.isNested || spaces.contains(TranslationKey.space(key)) else { return }
        list.append(
          BufferedTranslation(
            buffer: buffer, key: key, value: array.values[way], shift: shift(key),
            isOfRunningSpace: (key ^ (buffer.isNested ? nestedTag : tag)) & TranslationKey.spaceMask == 0,
            isCombined: combined.contains(TranslationKey.space(key))))
      }
    }
    func page(_ key: UInt64) -> UInt64 { 12 &+ 9 &* (key >> 61) }
    for array in translation.data.distinct { visit(array, .data, page) }
    for array in translation.code.distinct { visit(array, .code, page) }
    for array in translation.second.distinct { visit(array, .second, page) }
    visit(translation.pde, .directory) { _ in 21 }
    visit(translation.pdpte, .directoryPointer) { _ in 30 }
    visit(translation.pml4e, .topLevel) { _ in 39 }
    visit(translation.nestedTLB, .nested) { _ in 12 }
    visit(translation.nestedPDE, .nestedDirectory) { _ in 21 }
    visit(translation.nestedPDPTE, .nestedDirectoryPointer) { _ in 30 }
  }

  /// The PCID, or the shadow root's tag, of the context that is running.
  public var runningContext: UInt16 { UInt16(truncatingIfNeeded: tag & 0xfff) }
}
