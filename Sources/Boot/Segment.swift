import Machine

/// Bytes to put into guest memory before the first instruction.
public struct Segment: Equatable, Sendable {
  /// What it is, for a debugger and for error texts: `kernel segment 0`, `initrd`, `page tables`, ...
  public var name: String
  /// The guest-physical address of the first byte.
  public var address: GuestPhysical
  /// What stands at the start: a slice of the file, not a copy.
  public var bytes: ArraySlice<UInt8>
  /// The size in guest memory, in bytes, never less than `bytes.count` nor 0; the rest is zero.
  public var memorySize: UInt64

  public init(name: String, address: GuestPhysical, bytes: ArraySlice<UInt8>, memorySize: UInt64) {
    self.name = name
    self.address = address
    self.bytes = bytes
    self.memorySize = memorySize
  }

  /// The first guest-physical address after the segment. No segment of a plan wraps or leaves RAM.
  public var end: GuestPhysical { GuestPhysical(address.rawValue + memorySize) }
}
