/// PCI configuration mechanism 1 (PCI Local Bus Specification 3.0, 3.2.2.3.2) of a bus without any device: the address
/// register at port 0xcf8 reads back, the data at 0xcfc are all ones.
public struct PCIConfiguration: Equatable, Sendable {
  /// The address register; its bits 24 to 30 and 0 to 1 are reserved.
  public private(set) var address: UInt32 = 0

  public init() {}

  /// Writes the address register, which takes whole doublewords alone.
  public mutating func writeAddress(_ value: UInt32) { address = value & 0x80ff_fffc }
}
