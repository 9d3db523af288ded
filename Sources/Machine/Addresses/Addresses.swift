/// An address in one of the machine's three address spaces. Each space is a type of its own, so that mixing
/// them does not compile; crossing from one to another takes a named translation.
public protocol Address: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The address as a number, in bytes.
  var rawValue: UInt64 { get }
  /// Makes an address from a number of bytes.
  init(_ rawValue: UInt64)
}

extension Address {
  /// Bytes from the start of the 4 KiB page that holds the address, 0 ..< 4096.
  @inlinable public var pageOffset: UInt64 { rawValue & 0xfff }

  /// The number of the 4 KiB frame that holds the address (KVM: gfn or pfn).
  @inlinable public var frame: UInt64 { rawValue >> 12 }

  /// The first byte of the 4 KiB page that holds the address.
  @inlinable public var pageBase: Self { Self(rawValue & ~0xfff) }

  @inlinable public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

  /// The address `bytes` further on, wrapping at 2^64 as the hardware's adders do.
  @inlinable public func advanced(by bytes: UInt64) -> Self { Self(rawValue &+ bytes) }

  public var description: String { "0x" + String(rawValue, radix: 16) }
}

/// A linear address as a guest's instructions form it after segmentation (gva).
@frozen public struct GuestVirtual: Address {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Whether the bits above the translated ones repeat the topmost translated bit (SDM vol. 1, 3.3.7.1).
  @inlinable public func isCanonical(bits: UInt64) -> Bool {
    let shift = 64 &- bits
    return Int64(bitPattern: rawValue << shift) >> Int64(shift) == Int64(bitPattern: rawValue)
  }
}

/// An address that the guest takes for physical (gpa): what its page tables hold.
@frozen public struct GuestPhysical: Address {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// An address in the modelled host's memory (hpa): what the caches are indexed by.
@frozen public struct HostPhysical: Address {
  public var rawValue: UInt64
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}
