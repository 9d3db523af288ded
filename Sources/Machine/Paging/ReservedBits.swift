/// Which bits must be zero in a present entry, on one processor with one setting of its control registers.
///
/// Bits from MAXPHYADDR up to 51 are reserved everywhere; so are XD while EFER.NXE is clear, PS in a PML4E and where 1
/// GiB pages are not supported in a PDPTE, and the address bits below a large page's frame, of which bit 12 is PAT (SDM
/// vol. 3, 4.5.4, tables 4-15 to 4-20). AMD's processors reserve bit 8 besides, in every entry above a PDE that leads
/// to a table (APM vol. 2, 5.3.3). Extended entries have rules of their own (SDM vol. 3, 29.3.2).
@frozen public struct ReservedBits: Equatable, Sendable {
  private let format: TableFormat
  /// Those of every entry.
  private let everywhere: UInt64
  /// Those of a PDPTE and above besides.
  private let upper: UInt64
  /// PS in a PDPTE.
  private let large: UInt64

  /// - Parameters:
  ///   - physicalBits: MAXPHYADDR; taken as 36 if less and as 52 if more.
  ///   - gigabytePages: whether a PDPTE may map a page (CPUID 0x80000001 EDX bit 26).
  public init(_ format: TableFormat, physicalBits: UInt64, gigabytePages: Bool, vendor: Vendor) {
    self.format = format
    var mask = EntryBit.frameMask & ~((1 << min(max(physicalBits, 36), 52)) &- 1)
    if case .ordinary(noExecute: false) = format { mask |= EntryBit.noExecute }
    everywhere = mask
    upper = vendor == .amd && format != .extended ? EntryBit.global : 0
    large = gigabytePages ? 0 : EntryBit.large
  }

  /// The bits that must be zero in an entry.
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
