/// One entry of a TLB or a paging-structure cache, for people.
public struct CachedTranslation: Equatable, Sendable {
  /// The array that holds it.
  public enum Holder: String, Sendable, CaseIterable {
    case data = "L1 data"
    case code = "L1 code"
    case second = "L2"
    case pde = "PDE cache"
    case pdpte = "PDPTE cache"
    case pml4e = "PML4E cache"
    case nestedTLB = "nested TLB"
    case nestedPDE = "nested PDE cache"
    case nestedPDPTE = "nested PDPTE cache"

    /// Whether it translates guest-physical addresses.
    public var isNested: Bool { self == .nestedTLB || self == .nestedPDE || self == .nestedPDPTE }
    /// Whether it holds translations of pages; the others hold places of tables.
    public var holdsPages: Bool { self == .data || self == .code || self == .second || self == .nestedTLB }
  }

  public var holder: Holder
  /// The first address translated, guest-virtual or guest-physical.
  public var address: UInt64
  /// log2 of the bytes translated.
  public var shift: UInt64
  /// The page or the table that it leads to.
  public var host: HostPhysical
  public var permissions: PagePermissions
  public var isDirty: Bool
  public var isGlobal: Bool
  /// Whether the second dimension lets it be written.
  public var isHostWritable: Bool
  /// 0 for guest-physical addresses, whose translations no virtual processor has for itself.
  public var vpid: UInt16
  /// The PCID, or the shadow root's tag; of a global entry nothing.
  public var pcid: UInt16
  /// Whether it is of the VPID and the nested root in use.
  var isOfRunningSpace: Bool
  /// When it was last used. Those of the first-level data TLB are retired instructions; all others count uses.
  public var stamp: UInt64
}

extension Processor {
  /// Everything that the translation hardware holds, in the order of its arrays. Looking changes nothing.
  public var cachedTranslations: [CachedTranslation] {
    var all: [CachedTranslation] = []
    let unit = translation
    for (holder, buffer) in [
      (CachedTranslation.Holder.data, unit.data), (.code, unit.code), (.second, unit.second),
    ] {
      for array in buffer.distinct {
        array.forEachFilled { way in
          let key = array.keys[way]
          let size = PageSize(rawValue: UInt8(key >> 61)) ?? .page4K
          let entry = TLBEntry(rawValue: array.values[way])
          all.append(
            CachedTranslation(
              holder: holder, address: extended(key >> 16 & 0x1fff_ffff_ffff, size.shift), shift: size.shift,
              host: HostPhysical(entry.base), permissions: entry.permissions, isDirty: entry.isDirty,
              isGlobal: entry.isGlobal, isHostWritable: entry.isHostWritable, vpid: vpid(key),
              pcid: key & TranslationKey.globalBit != 0 ? 0 : UInt16(key & 0xfff),
              isOfRunningSpace: isOfRunningSpace(key, holder), stamp: array.stamps[way]))
        }
      }
    }
    let tables: [(CachedTranslation.Holder, AssociativeArray, UInt64, Int)] = [
      (.pde, unit.pde, 21, 1), (.pdpte, unit.pdpte, 30, 2), (.pml4e, unit.pml4e, 39, 3),
      (.nestedPDE, unit.nestedPDE, 21, 1), (.nestedPDPTE, unit.nestedPDPTE, 30, 2),
    ]
    for (holder, array, shift, level) in tables {
      array.forEachFilled { way in
        let table = CachedTable(array.values[way], level: level)
        add(holder, array, way, shift, table.table, table.permissions, table.isWritable, &all)
      }
    }
    unit.nestedTLB.forEachFilled { way in
      let found = HostMapping(packed: unit.nestedTLB.values[way], offset: 0)
      let permissions = PagePermissions(
        writable: found.writable, user: found.readable, executable: found.executable)
      add(.nestedTLB, unit.nestedTLB, way, 12, found.address, permissions, found.writable, &all)
    }
    return all
  }

  private func add(
    _ holder: CachedTranslation.Holder, _ array: AssociativeArray, _ way: Int, _ shift: UInt64, _ host: HostPhysical,
    _ permissions: PagePermissions, _ isHostWritable: Bool, _ all: inout [CachedTranslation]
  ) {
    let key = array.keys[way]
    let number = key >> 16 & 0x1fff_ffff_ffff
    all.append(
      CachedTranslation(
        holder: holder, address: holder.isNested ? number << shift : extended(number, shift), shift: shift, host: host,
        permissions: permissions, isDirty: false, isGlobal: false, isHostWritable: isHostWritable,
        vpid: holder.isNested ? 0 : vpid(key), pcid: UInt16(key & 0xfff),
        isOfRunningSpace: isOfRunningSpace(key, holder), stamp: array.stamps[way]))
  }

  private func vpid(_ key: UInt64) -> UInt16 { translation.spaces.name(TranslationKey.space(key))?.vpid ?? 0 }

  private func isOfRunningSpace(_ key: UInt64, _ holder: CachedTranslation.Holder) -> Bool {
    key & TranslationKey.spaceMask == (holder.isNested ? nestedTag : tag) & TranslationKey.spaceMask
  }

  /// The linear address of a page's number, of whose bits the topmost one is repeated.
  private func extended(_ number: UInt64, _ shift: UInt64) -> UInt64 {
    UInt64(bitPattern: Int64(bitPattern: number << (shift + untranslatedBits)) >> Int64(untranslatedBits))
  }

  /// Whether an entry still says what the tables say that the running context walks. An entry of another context is not
  /// looked at: nil.
  public func isCurrent(_ entry: CachedTranslation) -> Bool? {
    guard entry.isOfRunningSpace,
      entry.isGlobal || entry.holder.isNested || entry.pcid == UInt16(tag & 0xfff)
    else { return nil }
    if entry.holder.isNested { return isNestedCurrent(entry) }
    let address = GuestVirtual(entry.address)
    guard isCanonical(entry.address) else { return nil }
    let walk = peek(address, Access(.read, .supervisor), controls: .permissive)
    guard entry.holder.holdsPages else {
      // The table is where the walk reads the entry of its level.
      let level = Int(entry.shift - 12) / 9
      guard let read = walk.references.last(where: { $0.dimension == .first && $0.level == level }) else {
        return false
      }
      return read.address.rawValue & ~0xfff == entry.host.rawValue & ~0xfff
    }
    guard case .mapped(let mapping) = walk.result else { return false }
    let tables = TLBEntry(mapping)
    let base = mapping.host.address.rawValue & ~((1 << entry.shift) - 1)
    return base == entry.host.rawValue & ~((1 << entry.shift) - 1) && tables.permissions == entry.permissions
      && (mapping.dirty || !entry.isDirty) && mapping.effectiveSize.shift >= entry.shift
  }

  private func isNestedCurrent(_ entry: CachedTranslation) -> Bool? {
    guard case .tables = plan.second else { return nil }
    let (located, references) = peekNested(GuestPhysical(entry.address), .read)
    if entry.holder == .nestedTLB {
      guard case .success(let mapping) = located else { return false }
      return mapping.address.rawValue & ~0xfff == entry.host.rawValue & ~0xfff
    }
    let level = Int(entry.shift - 12) / 9
    guard let read = references.last(where: { $0.level == level }) else { return false }
    return read.address.rawValue & ~0xfff == entry.host.rawValue & ~0xfff
  }
}

extension PagingControls {
  /// What refuses nothing that the tables map to a supervisor.
  static let permissive = PagingControls(writeProtect: false, smep: false, smap: false, alignmentCheckFlag: false)
}
