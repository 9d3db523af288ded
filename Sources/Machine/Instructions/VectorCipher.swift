/// AES, carry-less multiplication, SHA-1 and SHA-256 (SDM vol. 2: AESENC, PCLMULQDQ, SHA1RNDS4 and their kin; FIPS 197
/// and 180-4).
extension Processor {
  func vectorCipher(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let vector = form.vector
    guard let operation = VectorCipher(rawValue: vector.operation) else { return }
    let a = self.vector(vector.first)
    let b = try vectorSource(op, form)
    let control = UInt8(truncatingIfNeeded: op.pointee.imm)
    let words = xmm(0)
    var result = Vector256(operation.made(a.low, b.low, control, words: words))
    if vector.isWide { result.high = operation.made(a.high, b.high, control, words: words) }
    setResult(op, vector, result)
  }
}

extension VectorCipher {
  /// - Parameter words: XMM0, which SHA256RNDS2 has for a third operand.
  fileprivate func made(_ a: Vector128, _ b: Vector128, _ control: UInt8, words: Vector128) -> Vector128 {
    switch self {
    case .encrypt: a.shiftedRows(by: 1).substituted(AES.substitution).mixed(AES.mix) ^ b
    case .encryptLast: a.shiftedRows(by: 1).substituted(AES.substitution) ^ b
    case .decrypt: a.shiftedRows(by: 3).substituted(AES.inverse).mixed(AES.inverseMix) ^ b
    case .decryptLast: a.shiftedRows(by: 3).substituted(AES.inverse) ^ b
    case .invertMix: b.mixed(AES.inverseMix)
    case .assistKey: b.assistedKey(control)
    case .multiplyCarryless: a[Int(control & 1)].multipliedCarryless(by: b[Int(control >> 4 & 1)])
    case .sha1Rounds: SHA1.rounds(a.words, b.words, control & 3)
    case .sha1NextE: SHA1.nextE(a.words, b.words)
    case .sha1First: SHA1.first(a.words, b.words)
    case .sha1Second: SHA1.second(a.words, b.words)
    case .sha256Rounds: SHA256.rounds(a.words, b.words, words.words)
    case .sha256First: SHA256.first(a.words, b.words)
    case .sha256Second: SHA256.second(a.words, b.words)
    }
  }
}

extension SIMD2<UInt64> {
  fileprivate var bytes: SIMD16<UInt8> { lanes(SIMD16<UInt8>.self) }
  fileprivate var words: SIMD4<UInt32> { lanes(SIMD4<UInt32>.self) }

  /// The state is four columns of four bytes; each row moves to the left by its number times this.
  fileprivate func shiftedRows(by step: Int) -> Vector128 {
    let from = bytes
    var result = from
    for place in 0..<16 {
      let row = place & 3
      result[place] = from[(place &+ 4 &* row &* step) & 15]
    }
    return Vector128(lanes: result)
  }

  fileprivate func substituted(_ table: [UInt8]) -> Vector128 {
    mapped(as: SIMD16<UInt8>.self) { table[Int($0)] }
  }

  /// Columns multiplied by a polynomial whose coefficients are `factors`.
  fileprivate func mixed(_ factors: [UInt8]) -> Vector128 {
    let from = bytes
    var result = from
    for place in 0..<16 {
      let column = place & 12
      var sum: UInt8 = 0
      for row in 0..<4 { sum ^= AES.product(factors[(row &- place) & 3], from[column &+ row]) }
      result[place] = sum
    }
    return Vector128(lanes: result)
  }

  fileprivate func assistedKey(_ constant: UInt8) -> Vector128 {
    let replaced = substituted(AES.substitution).words
    func rotated(_ word: UInt32) -> UInt32 { (word >> 8 | word << 24) ^ UInt32(constant) }
    return Vector128(lanes: SIMD4(replaced[1], rotated(replaced[1]), replaced[3], rotated(replaced[3])))
  }
}

extension UInt64 {
  fileprivate func multipliedCarryless(by other: UInt64) -> Vector128 {
    var result = Vector128()
    for bit in 0..<64 as Range<UInt64> where other &>> bit & 1 != 0 {
      result.x ^= self &<< bit
      if bit > 0 { result.y ^= self &>> (64 &- bit) }
    }
    return result
  }
}

/// The field of 256 elements, and what AES makes of it.
private enum AES {
  static let mix: [UInt8] = [2, 3, 1, 1]
  static let inverseMix: [UInt8] = [14, 11, 13, 9]

  static func product(_ a: UInt8, _ b: UInt8) -> UInt8 {
    var result: UInt8 = 0
    var factor = b
    for bit in 0..<8 as Range<UInt8> {
      if a &>> bit & 1 != 0 { result ^= factor }
      factor = factor &<< 1 ^ (factor & 0x80 != 0 ? 0x1b : 0)
    }
    return result
  }

  /// The inverse in the field, and a rotation of its bits.
  static let substitution: [UInt8] = (0...255 as ClosedRange<UInt8>).map { element in
    // Of an element the 254th power is the inverse.
    var power: UInt8 = 1
    for _ in 0..<254 { power = product(power, element) }
    func rotated(_ count: UInt8) -> UInt8 { power &<< count | power &>> (8 &- count) }
    return power ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63
  }

  static let inverse: [UInt8] = {
    var table = [UInt8](repeating: 0, count: 256)
    for (element, value) in substitution.enumerated() { table[Int(value)] = UInt8(element) }
    return table
  }()
}

extension UInt32 {
  fileprivate func rotated(left count: UInt32) -> UInt32 { self &<< count | self &>> (32 &- count) }
  fileprivate func rotated(right count: UInt32) -> UInt32 { rotated(left: 32 &- count) }
}

// The manual writes the highest word first: A of a state is word 3.

private enum SHA1 {
  static func rounds(_ state: SIMD4<UInt32>, _ words: SIMD4<UInt32>, _ function: UInt8) -> Vector128 {
    let constants: [UInt32] = [0x5a82_7999, 0x6ed9_eba1, 0x8f1b_bcdc, 0xca62_c1d6]
    var (a, b, c, d, e) = (state[3], state[2], state[1], state[0], UInt32(0))
    for round in 0..<4 {
      let chosen =
        switch function {
        case 0: b & c ^ ~b & d
        case 2: b & c ^ b & d ^ c & d
        default: b ^ c ^ d
        }
      let next = chosen &+ a.rotated(left: 5) &+ words[3 &- round] &+ e &+ constants[Int(function)]
      (a, b, c, d, e) = (next, a, b.rotated(left: 30), c, d)
    }
    return Vector128(lanes: SIMD4(d, c, b, a))
  }

  static func nextE(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> Vector128 {
    Vector128(lanes: SIMD4(b[0], b[1], b[2], b[3] &+ a[3].rotated(left: 30)))
  }

  static func first(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> Vector128 {
    Vector128(lanes: SIMD4(b[2] ^ a[0], b[3] ^ a[1], a[0] ^ a[2], a[1] ^ a[3]))
  }

  static func second(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> Vector128 {
    let w16 = (a[3] ^ b[2]).rotated(left: 1)
    let w17 = (a[2] ^ b[1]).rotated(left: 1)
    let w18 = (a[1] ^ b[0]).rotated(left: 1)
    return Vector128(lanes: SIMD4((a[0] ^ w16).rotated(left: 1), w18, w17, w16))
  }
}

private enum SHA256 {
  static func rounds(_ old: SIMD4<UInt32>, _ state: SIMD4<UInt32>, _ words: SIMD4<UInt32>) -> Vector128 {
    var (a, b, c, d) = (state[3], state[2], old[3], old[2])
    var (e, f, g, h) = (state[1], state[0], old[1], old[0])
    for round in 0..<2 {
      let sum1 = e.rotated(right: 6) ^ e.rotated(right: 11) ^ e.rotated(right: 25)
      let first = h &+ sum1 &+ (e & f ^ ~e & g) &+ words[round]
      let sum0 = a.rotated(right: 2) ^ a.rotated(right: 13) ^ a.rotated(right: 22)
      let second = sum0 &+ (a & b ^ a & c ^ b & c)
      (h, g, f, e) = (g, f, e, d &+ first)
      (d, c, b, a) = (c, b, a, first &+ second)
    }
    return Vector128(lanes: SIMD4(f, e, b, a))
  }

  private static func small0(_ word: UInt32) -> UInt32 {
    word.rotated(right: 7) ^ word.rotated(right: 18) ^ word >> 3
  }

  private static func small1(_ word: UInt32) -> UInt32 {
    word.rotated(right: 17) ^ word.rotated(right: 19) ^ word >> 10
  }

  static func first(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> Vector128 {
    Vector128(
      lanes: SIMD4(a[0] &+ small0(a[1]), a[1] &+ small0(a[2]), a[2] &+ small0(a[3]), a[3] &+ small0(b[0])))
  }

  static func second(_ a: SIMD4<UInt32>, _ b: SIMD4<UInt32>) -> Vector128 {
    let w16 = a[0] &+ small1(b[2])
    let w17 = a[1] &+ small1(b[3])
    return Vector128(lanes: SIMD4(w16, w17, a[2] &+ small1(w16), a[3] &+ small1(w17)))
  }
}
