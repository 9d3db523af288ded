import Machine

/// What a page's entry says besides where the page is. Entries have A and D set unless they are `fresh`.
public enum PageAttribute: Sendable {
  case writable, user, noExecute, global
  /// A and D are clear.
  case fresh

  var bit: UInt64 {
    switch self {
    case .writable: EntryBit.writable
    case .user: EntryBit.user
    case .noExecute: EntryBit.noExecute
    case .global: EntryBit.global
    case .fresh: 0
    }
  }
}

/// Some pages in a row that are mapped alike.
public struct PageMapping {
  var address: UInt64
  var physical: UInt64
  var size: PageSize
  var pages: UInt64
  var attributes: [PageAttribute]
}

/// Maps pages in a row, in `GuestMemory { … }`.
public func map(
  _ address: UInt64, to physical: UInt64, size: PageSize = .page4K, pages: UInt64 = 1, _ attributes: PageAttribute...
) -> PageMapping {
  PageMapping(address: address, physical: physical, size: size, pages: pages, attributes: attributes)
}

@resultBuilder public enum MappingsBuilder {
  public static func buildBlock(_ mappings: PageMapping...) -> [PageMapping] { mappings }
}

/// A guest's memory with its page tables, in a host's memory; behind a second dimension if asked for.
///
///     GuestMemory { map(0x40_0000, to: 0x1000, .writable, .user) }
///
/// Guest-physical memory is the first GiB, with the tables from 512 MiB on. Natively guest-physical is host-physical;
/// nested it lies one GiB higher, and the nested tables are from 2 GiB on.
public final class GuestMemory {
  public let host: HostMemory
  public private(set) var tables: PageTables
  public private(set) var nested: PageTables?

  /// Where guest-physical 0 is in the host.
  public var offset: UInt64 { nested == nil ? 0 : 1 << 30 }

  static let size: UInt64 = 1 << 30

  public convenience init(levels: Int = 4, @MappingsBuilder _ mappings: () -> [PageMapping]) {
    self.init(levels: levels, nested: nil, mappings())
  }

  /// - Parameter hostPage: the size by which nested tables map all of guest-physical memory that is in use.
  public convenience init(
    levels: Int = 4, hostPage: PageSize, hostLevels: Int = 4, isExtended: Bool = true, fresh: Bool = false,
    @MappingsBuilder _ mappings: () -> [PageMapping]
  ) {
    self.init(levels: levels, nested: (hostPage, hostLevels, isExtended, fresh), mappings())
  }

  private init(levels: Int, nested dimension: (PageSize, Int, Bool, Bool)?, _ mappings: [PageMapping]) {
    do {
      host = try HostMemory(low: dimension == nil ? GuestMemory.size : 2 * GuestMemory.size + 64 << 20)
    } catch {
      preconditionFailure("\(error)")
    }
    tables = PageTables(
      in: host, levels: levels, frames: 0x2000_0000, offset: dimension == nil ? 0 : GuestMemory.size)
    if let (size, levels, isExtended, fresh) = dimension {
      var second = PageTables(in: host, levels: levels, isExtended: isExtended, frames: 0x8000_0000)
      let bits: UInt64 = isExtended ? (fresh ? 7 : 0x307) : (fresh ? 7 : 0x67)
      // The first 4 MiB, where tests keep their pages, and the first 2 MiB of tables.
      for range in [0..<0x40_0000 as Range<UInt64>, 0x2000_0000..<0x2020_0000] {
        for page in stride(from: range.lowerBound & ~size.offsetMask, to: range.upperBound, by: Int(size.bytes)) {
          second.map(page, to: page + GuestMemory.size, size, bits: bits)
        }
      }
      nested = second
    }
    for mapping in mappings { map(mapping) }
  }

  /// Maps more pages.
  public func map(_ mapping: PageMapping) {
    let isFresh = mapping.attributes.contains { if case .fresh = $0 { true } else { false } }
    let bits = mapping.attributes.reduce(isFresh ? 1 : 0x61) { $0 | $1.bit }
    for page in 0..<mapping.pages {
      let step = page * mapping.size.bytes
      tables.map(mapping.address + step, to: mapping.physical + step, mapping.size, bits: bits)
    }
  }

  /// The entry that a walk reads at a level.
  public func entry(_ address: UInt64, level: Int) -> UInt64 { host.word(at: tables.entry(address, level: level)) }

  public func setEntry(_ address: UInt64, level: Int, _ value: UInt64) {
    host.setWord(value, at: tables.entry(address, level: level))
  }

  /// The plan of the second dimension.
  public func nestedPlan(physicalBits: UInt64 = 46, keepsAccessedDirty: Bool = false) -> NestedPlan? {
    nested.map {
      let format: TableFormat = $0.isExtended ? .extended : .ordinary(noExecute: true)
      return NestedPlan(
        root: HostPhysical($0.root), levels: $0.levels, format: format,
        reserved: ReservedBits(
          format, physicalBits: physicalBits, gigabytePages: true, vendor: $0.isExtended ? .intel : .amd),
        keepsAccessedDirty: keepsAccessedDirty)
    }
  }

  /// Writes bytes at a guest-physical address.
  public func write(_ bytes: [UInt8], atPhysical address: UInt64) {
    precondition(host.write(bytes, at: HostPhysical(address + offset)), "outside memory")
  }

  /// Reads one 64-bit word at a guest-physical address, aligned or not.
  public func word(atPhysical address: UInt64) -> UInt64 {
    host.read(HostPhysical(address + offset), count: 8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  public func setWord(_ value: UInt64, atPhysical address: UInt64) {
    write(withUnsafeBytes(of: value.littleEndian) { Array($0) }, atPhysical: address)
  }
}
