/// PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM (SDM vol. 2, 4.1): two strings of bytes or words are compared by the
/// control byte's rule.
extension Processor {
  func vectorString(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    guard let operation = VectorString(rawValue: form.vector.operation) else { return }
    let control = UInt8(truncatingIfNeeded: op.pointee.imm)
    let isExplicit = operation == .explicitMask || operation == .explicitIndex
    let second = try vectorSource(op, form).low
    let a = StringOperand(
      xmm(op.pointee.dst), control,
      length: isExplicit ? register(Slot.rax, width: form.sourceWidth).signExtended(from: form.sourceWidth) : nil)
    let b = StringOperand(
      second, control,
      length: isExplicit ? register(Slot.rdx, width: form.sourceWidth).signExtended(from: form.sourceWidth) : nil)
    let matches = a.matches(b, control)
    if operation == .explicitMask || operation == .implicitMask {
      setXMM(0, control & 0x40 == 0 ? Vector128(UInt64(matches), 0) : b.spread(matches))
      if form.vector.isVEX { s.pointee.vector.upper[0] = Vector128() }
    } else {
      let count = b.count
      let place =
        matches == 0 ? count : control & 0x40 == 0 ? matches.trailingZeroBitCount : 31 &- matches.leadingZeroBitCount
      setRegister(Slot.rcx, width: 8, UInt64(truncatingIfNeeded: place))
    }
    s.pointee.flags = LazyFlags(
      (matches != 0 ? Flag.carry : 0) | (b.length < b.count ? Flag.zero : 0) | (a.length < a.count ? Flag.sign : 0)
        | (matches & 1 != 0 ? Flag.overflow : 0))
  }
}

/// One string: its characters, sign-extended where they are signed, and how many of them count.
private struct StringOperand {
  private let characters: SIMD16<Int32>
  /// 16 bytes or 8 words.
  let count: Int
  let length: Int

  /// - Parameter length: an explicit one, whose magnitude counts; nil: up to the first zero.
  init(_ vector: Vector128, _ control: UInt8, length explicit: UInt64?) {
    let isSigned = control & 2 != 0
    var characters = SIMD16<Int32>()
    if control & 1 == 0 {
      count = 16
      let bytes = vector.lanes(SIMD16<UInt8>.self)
      for i in 0..<16 { characters[i] = isSigned ? Int32(Int8(bitPattern: bytes[i])) : Int32(bytes[i]) }
    } else {
      count = 8
      let words = vector.lanes(SIMD8<UInt16>.self)
      for i in 0..<8 { characters[i] = isSigned ? Int32(Int16(bitPattern: words[i])) : Int32(words[i]) }
    }
    self.characters = characters
    if let explicit {
      length = Int(min(Int64(bitPattern: explicit).magnitude, UInt64(count)))
    } else {
      var end = 0
      while end < count && characters[end] != 0 { end &+= 1 }
      length = end
    }
  }

  /// The rule's result, a bit for each character of `other`, after its polarity.
  func matches(_ other: StringOperand, _ control: UInt8) -> UInt32 {
    var result: UInt32 = 0
    for j in 0..<count where holds(other, at: j, control >> 2 & 3) { result |= 1 &<< UInt32(j) }
    let all: UInt32 = 1 &<< UInt32(count) &- 1
    switch control >> 4 & 3 {
    case 1: return ~result & all
    // Of the characters that count alone.
    case 3: return result ^ (1 &<< UInt32(other.length) &- 1)
    default: return result
    }
  }

  private func holds(_ other: StringOperand, at j: Int, _ rule: UInt8) -> Bool {
    switch rule {
    case 0:
      // Any of these characters.
      guard j < other.length else { return false }
      return (0..<length).contains { characters[$0] == other.characters[j] }
    case 1:
      // Within one of the ranges that pairs of these are.
      guard j < other.length else { return false }
      return stride(from: 0, to: length &- 1, by: 2).contains {
        characters[$0] <= other.characters[j] && other.characters[j] <= characters[$0 &+ 1]
      }
    case 2:
      // The same at the same place; beyond both ends too.
      if j >= length || j >= other.length { return j >= length && j >= other.length }
      return characters[j] == other.characters[j]
    default:
      // This one begins there, as far as the vector reaches.
      for i in 0..<min(length, count &- j) where j &+ i >= other.length || characters[i] != other.characters[j &+ i] {
        return false
      }
      return true
    }
  }

  /// A mask of whole characters.
  func spread(_ matches: UInt32) -> Vector128 {
    if count == 16 {
      var result = SIMD16<UInt8>()
      for i in 0..<16 where matches >> UInt32(i) & 1 != 0 { result[i] = .max }
      return Vector128(lanes: result)
    }
    var result = SIMD8<UInt16>()
    for i in 0..<8 where matches >> UInt32(i) & 1 != 0 { result[i] = .max }
    return Vector128(lanes: result)
  }
}
