/// The four page-directory-pointer-table entries of PAE paging, which a processor loads when CR3 is written, and walks no
/// more (SDM vol. 3, 4.4.1: the PDPTE registers).
@frozen public struct DirectoryPointers: Equatable, Sendable {
  private var first, second, third, fourth: UInt64

  public init(_ first: UInt64 = 0, _ second: UInt64 = 0, _ third: UInt64 = 0, _ fourth: UInt64 = 0) {
    (self.first, self.second, self.third, self.fourth) = (first, second, third, fourth)
  }

  /// The entry for one of the four stretches of 1 GiB.
  public subscript(_ number: Int) -> UInt64 {
    switch number & 3 {
    case 0: first
    case 1: second
    case 2: third
    default: fourth
    }
  }

  /// The entry for an address.
  @inlinable public subscript(_ address: GuestVirtual) -> UInt64 { self[DirectoryPointers.number(for: address)] }

  /// In which of the four stretches an address is.
  @inlinable public static func number(for address: GuestVirtual) -> Int { Int(address.rawValue >> 30 & 3) }

  /// Whether all that are present have their reserved bits clear; if not, they cannot be loaded.
  public func areValid(_ reserved: ReservedBits) -> Bool {
    (0..<4).allSatisfy { self[$0] & EntryBit.present == 0 || self[$0] & reserved.directoryPointer == 0 }
  }
}
