/// What a buffer of the translation hardware holds for an address, for somebody who looks from outside.
public struct HeldTranslation: Sendable {
  /// Which one: `L1 data TLB`, `L2 TLB`, `PDE cache`...
  public var buffer: String
  /// Where the page begins in the host; of a paging-structure cache the table to which its entry leads.
  public var host: HostPhysical
  /// Nil for a paging-structure cache.
  public var size: PageSize?
  public var permissions: PagePermissions
  public var isDirty = false
  public var isGlobal = false
  /// Whether the tables that the hardware walks still say the same.
  public var isCurrent: Bool
}

extension Processor {
  /// Everything that TLBs and paging-structure caches hold for an address in the context that is running. Nothing
  /// changes, not even the order of use.
  public func heldTranslations(of address: GuestVirtual) -> [HeldTranslation] {
    guard isCanonical(address.rawValue) else { return [] }
    let (_, path) = readTables(address)
    var held: [HeldTranslation] = []
    for (name, buffer) in [
      ("L1 data TLB", translation.data), ("L1 code TLB", translation.code), ("L2 TLB", translation.second),
    ] {
      guard let hit = buffer.peek(address.rawValue, tag: tag, globalTag: globalTag) else { continue }
      held.append(
        HeldTranslation(
          buffer: name, host: HostPhysical(hit.entry.base), size: hit.size, permissions: hit.entry.permissions,
          isDirty: hit.entry.isDirty, isGlobal: hit.entry.isGlobal, isCurrent: agrees(hit, address)))
    }
    let tableAddress = plan.layout.tableAddress(address.rawValue)
    for (name, array, shift, level) in [
      ("PDE cache", translation.pde, 21, 1), ("PDPTE cache", translation.pdpte, 30, 2),
      ("PML4E cache", translation.pml4e, 39, 3),
    ] as [(String, AssociativeArray, UInt64, Int)] {
      guard let way = array.way(of: TranslationKey.table(tableAddress, shift, tag: tag)) else { continue }
      let cached = CachedTable(array.values[way], level: level)
      held.append(
        HeldTranslation(
          buffer: name, host: cached.table, size: nil, permissions: cached.permissions,
          isCurrent: path.table(level) == cached.table && path.permissions(above: level) == cached.permissions))
    }
    return held
  }

  /// Whether an entry of a TLB says what the tables say, for whatever access they permit.
  private func agrees(_ hit: TranslationLookaside.Hit, _ address: GuestVirtual) -> Bool {
    let (mapping, path) = readTables(address)
    return mapping.map { hit.follows(from: $0, path, at: address.rawValue) } ?? false
  }

  /// The tables' translation of an address, whoever may use it, and the entries on the way.
  private func readTables(_ address: GuestVirtual) -> (Mapping?, TablePath) {
    for access in [Access(.read, .implicitSupervisor), Access(.read, .user)] {
      let walk = peek(address, access)
      var path = TablePath(format: plan.format)
      for reference in walk.references
      where reference.dimension == .first && !(reference.level == 3 && plan.levels == 3) {
        path.note(reference.level, reference.address, reference.entry)
      }
      if case .mapped(let mapping) = walk.result { return (mapping, path) }
      if access.isUser { return (nil, path) }
    }
    return (nil, TablePath(format: plan.format))
  }
}
