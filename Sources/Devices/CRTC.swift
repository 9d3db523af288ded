/// The registers of a VGA's CRT controller at ports 0x3d4 and 0x3d5 (IBM PS/2 Hardware Interface Technical Reference,
/// video subsystem): kept and given back, nothing is displayed.
public struct CRTC: Equatable, Sendable {
  /// The registers of text mode 3, 80 by 25 characters.
  public private(set) var registers: [UInt8] = [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0x00, 0x00, 0x00, 0x00,
    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
  ]
  /// Port 0x3d4: the register selected.
  public var index: UInt8 = 0

  public init() {}

  /// Port 0x3d5: the register selected; zero where there is none.
  public var data: UInt8 {
    get { registers.indices.contains(Int(index)) ? registers[Int(index)] : 0 }
    set {
      guard registers.indices.contains(Int(index)) else { return }
      // Bit 7 of the vertical retrace end register protects the timing, but for one bit of the overflow register.
      guard index <= 7, registers[0x11] & 0x80 != 0 else {
        registers[Int(index)] = newValue
        return
      }
      if index == 7 { registers[7] = registers[7] & ~0x10 | newValue & 0x10 }
    }
  }
}
