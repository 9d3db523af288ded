/// Bits of DR6 (SDM vol. 3, 17.2.3).
enum DR6 {
  /// B0 to B3.
  static let breakpoints: UInt64 = 0xf
  /// BD: an access to a debug register while DR7.GD was set.
  static let accessDetected: UInt64 = 1 << 13
  static let singleStep: UInt64 = 1 << 14
  /// BT: a switch to a task with the flag T.
  static let taskSwitch: UInt64 = 1 << 15
  /// B0 to B3, BD, BS, BT; all others are fixed.
  static let writable: UInt64 = 0xe00f
  static let fixed: UInt64 = 0xffff_0ff0
}

/// Bits of DR7 (SDM vol. 3, 17.2.4).
enum DR7 {
  /// L0, G0 to L3, G3.
  static let enables: UInt64 = 0xff
  /// L0 to L3 and LE, which a task switch clears.
  static let local: UInt64 = 0x155
  static let generalDetect: UInt64 = 1 << 13
  static let writable: UInt64 = 0xffff_23ff
  static let fixed: UInt64 = 0x400
}

extension Processor {
  func movFromDebug(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(rawValue: op.pointee.link)
    let number = try debugRegister(form.extra)
    setRegister(op.pointee.dst, width: form.width, s.pointee.debugRegisters[number])
  }

  func movToDebug(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(rawValue: op.pointee.link)
    let number = try debugRegister(form.extra)
    let value = register(op.pointee.dst, width: form.width)
    if number < 4 {
      s.pointee.debugRegisters[number] = value
      return
    }
    guard value >> 32 == 0 else { throw raise(.generalProtection(0)) }
    s.pointee.debugRegisters[number] =
      number == 6 ? value & DR6.writable | DR6.fixed : value & DR7.writable | DR7.fixed
    if number == 7 { updatePaging() }
  }

  /// The register that a number names, once the access is permitted: DR4 and DR5 are DR6 and DR7, unless CR4.DE makes
  /// them undefined (SDM vol. 3, 17.2.2), and DR7.GD guards all of them.
  private func debugRegister(_ number: UInt16) throws(Stopped) -> Int {
    var number = Int(number & 7)
    if number == 4 || number == 5 {
      guard s.pointee.cr4 & CR4.debuggingExtensions == 0 else { throw raise(.invalidOpcode) }
      number += 2
    }
    try requireRing0()
    if s.pointee.debugRegisters[7] & DR7.generalDetect != 0 {
      s.pointee.debugRegisters[6] |= DR6.accessDetected
      // The one debug exception that pushes RF as other faults do.
      s.pointee.systemFlags |= Flag.resume
      throw raise(.debug)
    }
    return number
  }
}
