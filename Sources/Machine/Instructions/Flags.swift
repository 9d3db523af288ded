/// Instructions on single flags (SDM vol. 2).
extension Processor {
  func clc(_ op: UnsafePointer<Operation>) throws(Stopped) { setFlags(0, of: Flag.carry) }

  func stc(_ op: UnsafePointer<Operation>) throws(Stopped) { setFlags(Flag.carry, of: Flag.carry) }

  func cmc(_ op: UnsafePointer<Operation>) throws(Stopped) {
    setFlags(s.pointee.flags.carry ? 0 : Flag.carry, of: Flag.carry)
  }

  func cld(_ op: UnsafePointer<Operation>) throws(Stopped) { s.pointee.systemFlags &= ~Flag.direction }

  func std(_ op: UnsafePointer<Operation>) throws(Stopped) { s.pointee.systemFlags |= Flag.direction }

  /// Whether code at the present CPL may change IF: CPL is not above IOPL. Virtual-8086 code has CPL 3, so that the
  /// rule is one.
  var mayChangeInterruptFlag: Bool {
    UInt64(s.pointee.cpl) <= (s.pointee.systemFlags & Flag.ioPrivilege) >> 12
  }

  func cli(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard mayChangeInterruptFlag else { throw raise(.generalProtection(0)) }
    s.pointee.systemFlags &= ~Flag.interrupt
  }

  /// Where interrupts were disabled they stay held off for one more instruction; where they were enabled STI changes
  /// nothing.
  func sti(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard mayChangeInterruptFlag else { throw raise(.generalProtection(0)) }
    if s.pointee.systemFlags & Flag.interrupt == 0 {
      s.pointee.systemFlags |= Flag.interrupt
      s.pointee.interruptShadow = s.pointee.retired
    }
  }

  func clac(_ op: UnsafePointer<Operation>) throws(Stopped) { try setAlignmentCheckFlag(false) }

  func stac(_ op: UnsafePointer<Operation>) throws(Stopped) { try setAlignmentCheckFlag(true) }

  private func setAlignmentCheckFlag(_ isSet: Bool) throws(Stopped) {
    guard features.contains(.smap) && s.pointee.cpl == 0 else { throw raise(.invalidOpcode) }
    if isSet {
      s.pointee.systemFlags |= Flag.alignmentCheck
    } else {
      s.pointee.systemFlags &= ~Flag.alignmentCheck
    }
    updatePaging()
  }
}
