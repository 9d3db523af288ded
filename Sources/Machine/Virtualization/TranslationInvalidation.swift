/// INVEPT and INVVPID: what a hypervisor invalidates that has changed nested tables, or tables that a virtual processor's
/// linear addresses were translated by (SDM vol. 3, 29.4.3.1; vol. 3, chapter 31). They charge nothing: the caller knows why.
extension Processor {
  public enum ExtendedInvalidation: Equatable, Sendable {
    /// Type 1: what was made from the nested tables of one root.
    case singleContext(HostPhysical)
    /// Type 2: from those of any.
    case allContexts
  }

  /// INVEPT: drops guest-physical mappings, and combined ones of whatever VPID and PCID. Linear mappings stay.
  public func invalidateExtended(_ kind: ExtendedInvalidation) {
    counters.flushesAll &+= 1
    func isMeant(_ root: HostPhysical?) -> Bool {
      guard let root else { return false }
      return kind == .allContexts || kind == .singleContext(root)
    }
    for root in translation.roots.numbers(where: isMeant) where !mutated("invept-keeps-frames") {
      translation.dropRoot(root)
    }
    for space in translation.spaces.numbers(where: { isMeant($0.root) }) where !mutated("invept-keeps-pages") {
      translation.dropSpace(space)
    }
    forgetFetchPage()
  }

  public enum VirtualProcessorInvalidation: Equatable, Sendable {
    /// Type 0: one address of a VPID.
    case address(GuestVirtual, vpid: UInt16)
    /// Type 1: all of a VPID.
    case singleContext(UInt16)
    /// Type 2: all of every VPID but 0, which is the bare processor's.
    case allContexts
    /// Type 3: all of a VPID but its global translations.
    case singleContextButGlobals(UInt16)
  }

  /// INVVPID: drops linear and combined mappings, of whatever PCID and nested root. Guest-physical mappings stay.
  public func invalidateVirtualProcessor(_ kind: VirtualProcessorInvalidation) {
    switch kind {
    case .address(let address, let vpid):
      counters.flushesPage &+= 1
      for space in spaces(of: vpid) { drop(address, inSpace: space) }
    case .singleContext(let vpid):
      counters.flushesAll &+= 1
      for space in spaces(of: vpid) where !mutated("invvpid-keeps-pages") { translation.dropSpace(space) }
    case .allContexts:
      counters.flushesAll &+= 1
      for space in translation.spaces.numbers(where: { $0.vpid != 0 }) { translation.dropSpace(space) }
    case .singleContextButGlobals(let vpid):
      counters.flushesAll &+= 1
      for space in spaces(of: vpid) {
        translation.drop(
          where: TranslationKey.spaceMask | TranslationKey.globalBit,
          equals: TranslationKey.tag(space: space, pcid: 0))
      }
    }
    forgetFetchPage()
  }

  private func spaces(of vpid: UInt16) -> NumberSet { translation.spaces.numbers { $0.vpid == vpid } }

  /// Drops what would be used to translate an address, of every PCID and global too.
  private func drop(_ address: GuestVirtual, inSpace space: Int) {
    let unit = translation
    unit.walkCache.flush()
    let wanted = TranslationKey.tag(space: space, pcid: 0)
    for buffer in [unit.data, unit.code, unit.second] {
      for array in buffer.distinct {
        // A page of the guest's goes whole, with all its pieces.
        array.forEachFilled { way in
          let key = array.keys[way]
          guard key & TranslationKey.spaceMask == wanted else { return }
          let page = TLBEntry(rawValue: array.values[way]).page
          let start = (key >> 16 & 0x1fff_ffff_ffff) << (12 &+ 9 &* (key >> 61))
          if page.number(start) == page.number(address.rawValue) { array.drop(way) }
        }
      }
    }
    for (array, shift) in [(unit.pde, 21), (unit.pdpte, 30), (unit.pml4e, 39)] as [(AssociativeArray, UInt64)] {
      array.forEachFilled { way in
        let other = array.keys[way] ^ TranslationKey.table(address.rawValue, shift, tag: wanted)
        // 4 MiB of 32-bit paging are cached by the number of their first half.
        let half: UInt64 = plan.layout.isNarrow && shift == 21 ? 1 << 16 : 0
        if other & ~(0xfff | TranslationKey.globalBit | half) == 0 { array.drop(way) }
      }
    }
    unit.forgetVerdicts()
  }
}
