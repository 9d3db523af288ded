/// Which bits must be zero in a present entry, on one processor with one setting of its control registers.
///
/// Bits from MAXPHYADDR up to 51 are reserved everywhere; so are XD while EFER.NXE is clear, PS in a PML4E and where 1
/// GiB pages are not supported in a PDPTE, and the address bits below a large page's frame, of which bit 12 is PAT (SDM
/// vol. 3, 4.5.4, tables 4-15 to 4-20). PAE paging reserves what lies above them as well, and its PDPTEs have rules of
/// their own (4.4, tables 4-8 to 4-11). 32-bit paging reserves only what a PDE for a 4 MiB page has between the two parts
/// of its address (4.3, table 4-4). AMD's processors reserve bit 8 besides, in every entry above a PDE that leads
/// to a table (APM vol. 2, 5.3.3). Extended entries have rules of their own (SDM vol. 3, 29.3.2).
@frozen public struct ReservedBits: Equatable, Sendable {
  private let format: TableFormat
  /// Those of every entry.
  private let everywhere: UInt64
  /// Those of a PDPTE and above besides.
  private let upper: UInt64
  /// PS in a PDPTE.
  private let large: UInt64
  /// Those of a PDE that maps 4 MiB.
  private let narrowLarge: UInt64
  /// Those of a PDPTE register.
  let directoryPointer: UInt64

  /// - Parameters:
  ///   - physicalBits: MAXPHYADDR; taken as 36 if less and as 52 if more.
  ///   - gigabytePages: whether a PDPTE may map a page (CPUID 0x80000001 EDX bit 26).
  ///   - isPAE: whether the tables are those of PAE paging.
  ///   - pse36: whether pages of 4 MiB may lie beyond 4 GiB (CPUID 1 EDX bit 17).
  ///   - switches: whether entries may be switching ones. Their bit is then among the reserved, which the walker looks at
  ///     anyway: no other entry is asked for it.
  public init(
    _ format: TableFormat, physicalBits: UInt64, gigabytePages: Bool, vendor: Vendor, isPAE: Bool = false,
    pse36: Bool = false, switches: Bool = false
  ) {
    self.format = format
    let width = min(max(physicalBits, 36), 52)
    var mask = EntryBit.frameMask & ~((1 << width) &- 1)
    if isPAE { mask |= 0x7ff0_0000_0000_0000 }
    if case .ordinary(noExecute: false) = format { mask |= EntryBit.noExecute }
    if switches { mask |= EntryBit.switching }
    everywhere = mask
    upper = vendor == .amd && format != .extended ? EntryBit.global : 0
    large = gigabytePages ? 0 : EntryBit.large
    // Bits 21:13 less those that hold the address.
    narrowLarge = 0x3f_e000 & ~(((1 << ((pse36 ? min(width, 40) : 32) &- 32)) &- 1) << 13)
    directoryPointer = ~((1 << width) &- 1) | 0x1e6 | (switches ? EntryBit.switching : 0)
  }

  /// The same for an entry of 32-bit paging.
  @inline(__always) func narrowMask(level: Int, leaf: Bool) -> UInt64 { leaf && level > 1 ? narrowLarge : 0 }

  /// The bits that must be zero in an entry of eight bytes.
  ///
  /// - Parameters:
  ///   - level: 1 for a PTE to 5 for a PML5E.
  ///   - leaf: whether the entry would map a page if it were valid.
  @inline(__always) public func mask(level: Int, leaf: Bool) -> UInt64 {
    var mask = everywhere
    if level == 1 { return mask }
    let belowFrame: UInt64 = leaf ? (1 << (12 &+ 9 &* UInt64(level &- 1))) &- 1 : 0
    if level == 3 { mask |= large }
    switch format {
    case .ordinary:
      if level >= 4 { mask |= EntryBit.large | upper }
      if level == 3 && !leaf { mask |= upper }
      return mask | belowFrame & ~0x1fff
    case .extended:
      if level >= 4 { mask |= 0xf8 } else if !leaf { mask |= 0x78 }
      return mask | belowFrame & ~0xfff
    }
  }
}
