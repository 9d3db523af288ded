import Testing

@testable import Machine

/// The flags that stand as operands and a kind, against an oracle that computes them as the manual words them (SDM vol.
/// 1, 3.4.3.1).
struct LazyFlagsTests {
  static let bytes: ClosedRange<UInt64> = 0...255

  @Test(arguments: [false, true]) func `8-bit addition, with and without a carry in`(carry: Bool) {
    for a in Self.bytes {
      for b in Self.bytes {
        let flags = LazyFlags.sum(a, b, carry: carry, width: 1)
        let expected = Oracle.sum(UInt8(a), UInt8(b), carry: carry)
        if flags.bits != expected { record(flags, expected, "\(a) + \(b) + \(carry)") }
      }
    }
  }

  @Test(arguments: [false, true]) func `8-bit subtraction, with and without a borrow in`(borrow: Bool) {
    for a in Self.bytes {
      for b in Self.bytes {
        let flags = LazyFlags.difference(a, b, borrow: borrow, width: 1)
        let expected = Oracle.difference(UInt8(a), UInt8(b), borrow: borrow)
        if flags.bits != expected { record(flags, expected, "\(a) - \(b) - \(borrow)") }
      }
    }
  }

  @Test(arguments: [false, true]) func `INC and DEC leave the carry`(carry: Bool) {
    let carryBit = carry ? Flag.carry : 0
    for a in Self.bytes {
      let up = LazyFlags.incremented(a &+ 1, carry: carry, width: 1)
      let expectedUp = Oracle.sum(UInt8(a), 1, carry: false) & ~Flag.carry | carryBit
      if up.bits != expectedUp { record(up, expectedUp, "INC \(a)") }

      let down = LazyFlags.decremented(a &- 1, carry: carry, width: 1)
      let expectedDown = Oracle.difference(UInt8(a), 1, borrow: false) & ~Flag.carry | carryBit
      if down.bits != expectedDown { record(down, expectedDown, "DEC \(a)") }
    }
  }

  /// Conditions have short ways of their own past the six flags.
  @Test func `every condition is that of the flags as they stand`() {
    for a in Self.bytes {
      for b in Self.bytes {
        let all = [
          LazyFlags.sum(a, b, carry: false, width: 1), LazyFlags.sum(a, b, carry: true, width: 1),
          LazyFlags.difference(a, b, borrow: false, width: 1), LazyFlags.difference(a, b, borrow: true, width: 1),
          LazyFlags.logic(a & b, width: 1), LazyFlags.incremented(a, carry: b & 1 != 0, width: 1),
          LazyFlags.decremented(a, carry: b & 1 != 0, width: 1), LazyFlags.shiftedLeft(a, by: b & 7 | 1, width: 1),
          LazyFlags.shiftedRight(a, by: b & 7 | 1, width: 1),
          LazyFlags.sum(a << 24 | b, b << 24 | a, carry: false, width: 4),
        ]
        for flags in all {
          let standing = LazyFlags(flags.bits)
          for condition in Condition.allCases where flags.holds(condition) != standing.holds(condition) {
            Issue.record("\(condition) of \(a) and \(b), kind \(flags.kind)")
          }
        }
      }
    }
  }

  @Test func `bitwise results clear CF, OF and AF`() {
    for result in Self.bytes {
      let flags = LazyFlags.logic(result, width: 1)
      let expected = Oracle.signZeroParity(UInt8(result))
      if flags.bits != expected { record(flags, expected, "result \(result)") }
    }
  }

  /// Counts beyond the width reach 8- and 16-bit shifts by CL. AF is undefined after a shift.
  @Test(arguments: 1...31) func `8-bit shifts by every count`(count: Int) {
    for value in Self.bytes {
      let flags = [
        LazyFlags.shiftedLeft(value, by: UInt64(count), width: 1),
        LazyFlags.shiftedRight(value, by: UInt64(count), width: 1),
        LazyFlags.shiftedArithmetically(value, by: UInt64(count), width: 1),
      ]
      for (flags, kind) in zip(flags, Oracle.Shift.allCases) {
        let expected = Oracle.shift(kind, UInt8(value), by: count)
        if flags.bits & ~Flag.adjust != expected { record(flags, expected, "\(kind) of \(value) by \(count)") }
      }
    }
  }

  @Test func `16, 32 and 64 bits at the edges of their ranges`() {
    checkEdges(of: UInt16.self)
    checkEdges(of: UInt32.self)
    checkEdges(of: UInt64.self)
  }

  private func checkEdges<Value: FixedWidthInteger & UnsignedInteger>(of type: Value.Type) {
    let top: Value = 1 << (Value.bitWidth - 1)
    let edges: [Value] = [0, 1, 2, 7, 8, 15, 16, 0x7f, 0x80, 0xff, 0x100, top - 1, top, top + 1, .max - 1, .max]
    let width = Value.bitWidth / 8
    for a in edges {
      for b in edges {
        for carry in [false, true] {
          let sum = LazyFlags.sum(UInt64(a), UInt64(b), carry: carry, width: width)
          #expect(sum.bits == Oracle.sum(a, b, carry: carry), "\(a) + \(b) + \(carry), \(width) bytes")
          let difference = LazyFlags.difference(UInt64(a), UInt64(b), borrow: carry, width: width)
          #expect(difference.bits == Oracle.difference(a, b, borrow: carry), "\(a) - \(b) - \(carry), \(width) bytes")
        }
      }
      for count in [1, 2, 7, 8, 9, 15, 16, 17, 31] + (width == 8 ? [32, 33, 62, 63] : []) {
        let left = LazyFlags.shiftedLeft(UInt64(a), by: UInt64(count), width: width).bits & ~Flag.adjust
        #expect(left == Oracle.shift(.left, a, by: count), "\(a) << \(count), \(width) bytes")
        let right = LazyFlags.shiftedRight(UInt64(a), by: UInt64(count), width: width).bits & ~Flag.adjust
        #expect(right == Oracle.shift(.right, a, by: count), "\(a) >> \(count), \(width) bytes")
        let signed = LazyFlags.shiftedArithmetically(UInt64(a), by: UInt64(count), width: width).bits & ~Flag.adjust
        #expect(signed == Oracle.shift(.arithmetic, a, by: count), "\(a) >>> \(count), \(width) bytes")
      }
    }
  }

  private func record(_ flags: LazyFlags, _ expected: UInt64, _ what: String) {
    Issue.record("\(what): \(String(flags.bits, radix: 16)), not \(String(expected, radix: 16))")
  }
}

/// Flags one by one, from results that are wide enough to hold them.
private enum Oracle {
  enum Shift: CaseIterable { case left, right, arithmetic }

  static func sum<Value: FixedWidthInteger & UnsignedInteger>(_ a: Value, _ b: Value, carry: Bool) -> UInt64 {
    let extra: Value = carry ? 1 : 0
    let (first, overflow) = a.addingReportingOverflow(b)
    let (result, second) = first.addingReportingOverflow(extra)
    var flags = signZeroParity(result)
    if overflow || second { flags |= Flag.carry }
    if (a & 0xf) + (b & 0xf) + extra > 0xf { flags |= Flag.adjust }
    // Operands of one sign and a result of the other.
    if isNegative(a) == isNegative(b) && isNegative(result) != isNegative(a) { flags |= Flag.overflow }
    return flags
  }

  static func difference<Value: FixedWidthInteger & UnsignedInteger>(_ a: Value, _ b: Value, borrow: Bool) -> UInt64 {
    let extra: Value = borrow ? 1 : 0
    let (first, overflow) = a.subtractingReportingOverflow(b)
    let (result, second) = first.subtractingReportingOverflow(extra)
    var flags = signZeroParity(result)
    if overflow || second { flags |= Flag.carry }
    if a & 0xf < (b & 0xf) + extra { flags |= Flag.adjust }
    if isNegative(a) != isNegative(b) && isNegative(result) != isNegative(a) { flags |= Flag.overflow }
    return flags
  }

  /// Bit by bit: CF is the last bit out, OF whether the last step changed the sign.
  static func shift<Value: FixedWidthInteger & UnsignedInteger>(_ kind: Shift, _ value: Value, by count: Int) -> UInt64
  {
    var value = value
    var carry = false
    var overflow = false
    for _ in 0..<count {
      let before = value
      carry = kind == .left ? isNegative(value) : value & 1 != 0
      switch kind {
      case .left: value = value &<< 1
      case .right: value = value &>> 1
      case .arithmetic: value = value &>> 1 | value & (1 << (Value.bitWidth - 1))
      }
      overflow = isNegative(before) != isNegative(value)
    }
    return signZeroParity(value) | (carry ? Flag.carry : 0) | (overflow ? Flag.overflow : 0)
  }

  static func signZeroParity<Value: FixedWidthInteger & UnsignedInteger>(_ result: Value) -> UInt64 {
    var flags: UInt64 = 0
    if isNegative(result) { flags |= Flag.sign }
    if result == 0 { flags |= Flag.zero }
    var isEven = true
    for bit in 0..<8 where (result >> bit) & 1 != 0 { isEven.toggle() }
    if isEven { flags |= Flag.parity }
    return flags
  }

  private static func isNegative<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value) -> Bool {
    value.leadingZeroBitCount == 0
  }
}
