/// Which device answers at which I/O port.
struct PortMap {
  /// The devices with ports; `none` answers with all ones.
  enum Device: UInt8 {
    case none
    case masterPIC, slavePIC, edgeLevelControl, timer, systemControl, keyboard, clock, post, portA
    case coprocessor
    case debugConsole, debugExit, crtc, serial, firmwareConfig, powerEvent, powerControl, powerTimer, shutdown
    case testData, testFlush, testLine
    case pciAddress, pciData
  }

  /// The map, one row a range.
  static let rows: [(ports: ClosedRange<UInt16>, device: Device)] = [
    (0x0020...0x0021, .masterPIC),
    (0x0040...0x0043, .timer),
    (0x0060...0x0060, .keyboard),
    (0x0061...0x0061, .systemControl),
    (0x0064...0x0064, .keyboard),
    (0x0070...0x0071, .clock),
    (0x0080...0x0080, .post),
    (0x0092...0x0092, .portA),
    (0x00a0...0x00a1, .slavePIC),
    (0x00e0...0x00e3, .testData),
    (0x00e4...0x00e7, .testFlush),
    (0x00e9...0x00e9, .debugConsole),
    (0x00f0...0x00f0, .coprocessor),
    (0x00f4...0x00f7, .debugExit),
    (0x03d4...0x03d5, .crtc),
    (0x03f8...0x03ff, .serial),
    (0x04d0...0x04d1, .edgeLevelControl),
    (0x0510...0x0511, .firmwareConfig),
    (0x0600...0x0603, .powerEvent),
    (0x0604...0x0605, .powerControl),
    (0x0608...0x060b, .powerTimer),
    (0x0cf8...0x0cfb, .pciAddress),
    (0x0cfc...0x0cff, .pciData),
    (TestDevice.linePort...TestDevice.linePort + 23, .testLine),
    (0x8900...0x8900, .shutdown),
  ]

  /// `rows`, spread out so that a look-up is one load.
  private let devices: [Device]

  init() {
    var devices = [Device](repeating: .none, count: 1 << 16)
    for row in Self.rows {
      for port in row.ports { devices[Int(port)] = row.device }
    }
    self.devices = devices
  }

  subscript(port: UInt16) -> Device { devices[Int(port)] }
}

extension PortMap.Device {
  /// Whether it takes an access of several bytes as one. To the others such an access is one to each of its bytes'
  /// ports, as the ISA bus makes it for an 8-bit device.
  var takesWideAccess: Bool {
    switch self {
    case .debugExit, .firmwareConfig, .powerControl, .testFlush, .testLine, .pciAddress, .pciData: true
    default: false
    }
  }
}
