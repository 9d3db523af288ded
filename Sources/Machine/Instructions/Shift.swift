/// Shifts and rotations (SDM vol. 2: SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD).
///
/// A count of 0 changes no flag, but the destination is written all the same: a 32-bit register is zero-extended, and
/// memory that may not be written faults. OF is defined for a count of 1 only; for others it is computed by the same
/// formula, as silicon does.
extension Processor {
  /// The count, masked as the operand size wants.
  private func count(_ op: UnsafePointer<Operation>, _ form: OperandForm) -> UInt64 {
    let count = form.countInCL ? s.pointee.slots[Int(Slot.rcx)] : UInt64(bitPattern: op.pointee.imm)
    return count & (form.width == 8 ? 0x3f : 0x1f)
  }

  /// Updates the destination by a body that is not called for a count of 0.
  @inline(__always) private func shift(
    _ op: UnsafePointer<Operation>,
    _ body: (_ value: UInt64, _ source: UInt64, _ count: UInt64, _ width: Int) -> (result: UInt64, flags: LazyFlags)
  ) throws(Stopped) {
    let count = count(op, OperandForm(op))
    let flags = s.pointee.flags
    try update(op) { value, source, width in
      count == 0 ? (value, flags) : body(value, source, count, width)
    }
  }

  func shl(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try shift(op) { value, _, count, width in
      (value &<< count, .shiftedLeft(value, by: count, width: width))
    }
  }

  func shr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try shift(op) { value, _, count, width in
      (value &>> count, .shiftedRight(value, by: count, width: width))
    }
  }

  func sar(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try shift(op) { value, _, count, width in
      let extended = Int64(bitPattern: value.signExtended(from: width))
      let result = UInt64(bitPattern: extended &>> Int64(bitPattern: count))
      return (result, .shiftedArithmetically(value, by: count, width: width))
    }
  }

  /// The flags of a rotation: CF and OF alone are written.
  @inline(__always) private func rotated(_ flags: UInt64, carry: Bool, overflow: Bool) -> LazyFlags {
    LazyFlags(
      flags & ~(Flag.carry | Flag.overflow) | (carry ? Flag.carry : 0) | (overflow ? Flag.overflow : 0))
  }

  /// The two topmost bits of a value.
  @inline(__always) private func topBits(_ value: UInt64, _ width: Int) -> (top: Bool, next: Bool) {
    (value.sign(width), (value &<< 1).sign(width))
  }

  func rol(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let flags = s.pointee.flags.bits
    try shift(op) { value, _, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let turn = count & (bits &- 1)
      let result = value << turn | value >> (bits &- turn)
      let carry = result & 1 != 0
      return (result, rotated(flags, carry: carry, overflow: result.sign(width) != carry))
    }
  }

  func ror(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let flags = s.pointee.flags.bits
    try shift(op) { value, _, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let turn = count & (bits &- 1)
      let result = value >> turn | value << (bits &- turn)
      let (top, next) = topBits(result, width)
      return (result, rotated(flags, carry: top, overflow: top != next))
    }
  }

  /// Through the carry a value of n bits is one of n + 1: counts are taken modulo 9 and 17 where they can exceed that.
  /// A count that comes out as 0 leaves CF; OF is computed all the same.
  func rcl(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let flags = s.pointee.flags.bits
    try shift(op) { value, _, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let turn = count % (bits &+ 1)
      var carry = flags & Flag.carry != 0
      var result = value
      if turn != 0 {
        let carryIn: UInt64 = carry ? 1 : 0
        result = value << turn | carryIn << (turn &- 1) | value >> (bits &+ 1 &- turn)
        carry = value >> (bits &- turn) & 1 != 0
      }
      return (result, rotated(flags, carry: carry, overflow: result.sign(width) != carry))
    }
  }

  func rcr(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let flags = s.pointee.flags.bits
    try shift(op) { value, _, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let turn = count % (bits &+ 1)
      var carry = flags & Flag.carry != 0
      var result = value
      if turn != 0 {
        let carryIn: UInt64 = carry ? 1 : 0
        result = value >> turn | carryIn << (bits &- turn) | value << (bits &+ 1 &- turn)
        carry = value >> (turn &- 1) & 1 != 0
      }
      let (top, next) = topBits(result, width)
      return (result, rotated(flags, carry: carry, overflow: top != next))
    }
  }

  /// The flags of a double shift: the result's, with CF and OF.
  @inline(__always) private func doubleShifted(
    _ result: UInt64, _ width: Int, carry: Bool, overflow: Bool
  ) -> LazyFlags {
    LazyFlags(
      LazyFlags.signZeroParity(result.signExtended(from: width)) | (carry ? Flag.carry : 0)
        | (overflow ? Flag.overflow : 0))
  }

  /// A 16-bit double shift by more than 16 is undefined; AMD's processors go on shifting the source in, and clear CF.
  func shld(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try shift(op) { value, source, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let isUndefined = count > bits
      let result =
        isUndefined
        ? source << (count &- bits) | source >> (2 &* bits &- count) : value << count | source >> (bits &- count)
      let carry = !isUndefined && value >> (bits &- count) & 1 != 0
      let top = count < bits && result.sign(width)
      return (result, doubleShifted(result, width, carry: carry, overflow: top != carry))
    }
  }

  func shrd(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try shift(op) { value, source, count, width in
      let bits = 8 &* UInt64(truncatingIfNeeded: width)
      let isUndefined = count > bits
      let result =
        isUndefined
        ? source >> (count &- bits) | source << (2 &* bits &- count) : value >> count | source << (bits &- count)
      let (top, next) = topBits(result, width)
      let carry = !isUndefined && value >> (count &- 1) & 1 != 0
      return (result, doubleShifted(result, width, carry: carry, overflow: top != next))
    }
  }
}
