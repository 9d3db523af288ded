import Machine

/// The parts of an instruction's bytes (SDM vol. 2, chapter 2): prefixes, opcode map and opcode, ModRM, displacement,
/// immediate.
///
/// Capstone says what an instruction is; this says where it ends. Its own parse is what tells bytes that were cut off
/// by the end of a page (come back with more) from bytes that are no instruction (#UD), and gives immediates and
/// operand sizes that do not depend on the version of Capstone.
struct InstructionEncoding {
  /// The opcode maps: one byte, 0F, 0F 38, 0F 3A, and everything that a VEX, EVEX or XOP prefix introduces.
  enum Map: UInt8 {
    case primary, secondary, map38, map3A, vector
  }

  var size: CodeSize
  var vendor: Vendor
  var map: Map = .primary
  var opcode: UInt8 = 0
  var modRM: UInt8 = 0
  var sib: UInt8 = 0
  var hasModRM = false
  /// REX, or 0. A REX that is not right before the opcode is ignored, by the processor and here.
  var rex: UInt8 = 0
  /// F2 or F3, whichever came last, or 0.
  var repeatPrefix: UInt8 = 0
  var hasLock = false
  var hasOperandSizePrefix = false
  var hasAddressSizePrefix = false
  var hasSegmentPrefix = false
  /// The last segment override; in 64-bit code only FS and GS count (SDM vol. 1, 3.3.7.1).
  var segmentOverride: SegmentRegister?
  /// How many bytes stand before the opcode (of 0F xx: before the 0F), REX included.
  var prefixLength = 0
  /// Prefixes that a processor ignores and that disassemblers stumble over: repeated ones, REX before others, and 66
  /// before F2 or F3.
  var hasRedundantPrefixes = false
  var displacementOffset = 0
  var displacementSize = 0
  var immediateOffset = 0
  var immediateSize = 0
  var length = 0

  var reg: UInt8 { (modRM >> 3) & 7 }
  var isRegisterForm: Bool { modRM >= 0xc0 }
  var isWide: Bool { rex & 8 != 0 }

  /// The operand size in bytes that prefixes and mode give (SDM vol. 1, table 3-3 and 3-4).
  var operandSize: Int {
    switch size {
    case .bits64: return isWide ? 8 : hasOperandSizePrefix ? 2 : 4
    case .bits32: return hasOperandSizePrefix ? 2 : 4
    case .bits16: return hasOperandSizePrefix ? 4 : 2
    }
  }

  /// The operand size of instructions that default to 64 bits in 64-bit code: pushes, pops.
  var stackOperandSize: Int {
    guard size == .bits64 else { return operandSize }
    return hasOperandSizePrefix && !isWide ? 2 : 8
  }

  /// The operand size of near branches. In 64-bit code Intel ignores the prefix 66, AMD obeys it.
  var branchOperandSize: Int {
    guard size == .bits64 else { return operandSize }
    return hasOperandSizePrefix && !isWide && vendor == .amd ? 2 : 8
  }

  /// The operand size of an opcode whose low bit tells bytes from the rest.
  var sizeByLowBit: Int { opcode & 1 == 0 ? 1 : operandSize }

  var addressSize: CodeSize {
    switch size {
    case .bits64: return hasAddressSizePrefix ? .bits32 : .bits64
    case .bits32: return hasAddressSizePrefix ? .bits16 : .bits32
    case .bits16: return hasAddressSizePrefix ? .bits32 : .bits16
    }
  }

  /// The condition in the low nibble of Jcc, SETcc and CMOVcc.
  var condition: UInt8 { opcode & 0xf }
}

extension InstructionEncoding {
  /// Parses the instruction at `bytes`, or returns nil where it goes on beyond `count`.
  init?(_ bytes: UnsafePointer<UInt8>, count: Int, size: CodeSize, vendor: Vendor) {
    self.size = size
    self.vendor = vendor
    var at = scanPrefixes(bytes, count: count)
    guard at < count else { return nil }
    prefixLength = at
    opcode = bytes[at]
    at += 1

    var vectorMap: UInt8 = 0
    if opcode == 0x0f {
      guard at < count else { return nil }
      map = .secondary
      opcode = bytes[at]
      at += 1
      if opcode == 0x38 || opcode == 0x3a {
        guard at < count else { return nil }
        map = opcode == 0x38 ? .map38 : .map3A
        opcode = bytes[at]
        at += 1
      }
    } else if mayStartVector(opcode) {
      // C4, C5, 62 and 8F are LES, LDS, BOUND and POP unless the byte after them says otherwise.
      guard at < count else { return nil }
      let payload = vectorPayloadLength(prefix: opcode, next: bytes[at])
      if payload > 0 {
        guard at + payload < count else { return nil }
        map = .vector
        vectorMap = opcode == 0xc5 ? 1 : bytes[at] & 0x1f
        opcode = bytes[at + payload]
        at += payload + 1
      }
    }

    let layout = map == .vector ? OpcodeLayout(vectorMap: vectorMap, opcode: opcode) : OpcodeLayout(map, opcode)
    hasModRM = layout.hasModRM
    if hasModRM {
      guard at < count else { return nil }
      modRM = bytes[at]
      at += 1
      // MOV with control and debug registers ignores mod (SDM vol. 2, MOV—Move to/from Control Registers).
      let ignoresMod = map == .secondary && opcode >= 0x20 && opcode <= 0x23
      if !isRegisterForm && !ignoresMod {
        guard parseAddress(bytes, count: count, at: &at) else { return nil }
      }
    }
    immediateOffset = at
    immediateSize = layout.immediate.size(in: self)
    length = at + immediateSize
    if length > count { return nil }
  }

  /// Reads prefixes up to the opcode and returns where that is.
  private mutating func scanPrefixes(_ bytes: UnsafePointer<UInt8>, count: Int) -> Int {
    var at = 0
    while at < count {
      let byte = bytes[at]
      var isREX = false
      switch byte {
      case 0x66:
        hasRedundantPrefixes = hasRedundantPrefixes || hasOperandSizePrefix
        hasOperandSizePrefix = true
      case 0x67:
        hasRedundantPrefixes = hasRedundantPrefixes || hasAddressSizePrefix
        hasAddressSizePrefix = true
      case 0xf0:
        hasRedundantPrefixes = hasRedundantPrefixes || hasLock || repeatPrefix != 0
        hasLock = true
      case 0xf2, 0xf3:
        hasRedundantPrefixes = hasRedundantPrefixes || repeatPrefix != 0 || hasLock || hasOperandSizePrefix
        repeatPrefix = byte
      case 0x26, 0x2e, 0x36, 0x3e:
        hasRedundantPrefixes = hasRedundantPrefixes || hasSegmentPrefix
        hasSegmentPrefix = true
        if size != .bits64 { segmentOverride = SegmentRegister(rawValue: (byte >> 3) & 3) }
      case 0x64, 0x65:
        hasRedundantPrefixes = hasRedundantPrefixes || hasSegmentPrefix
        hasSegmentPrefix = true
        segmentOverride = byte == 0x64 ? .fs : .gs
      case 0x40...0x4f where size == .bits64:
        hasRedundantPrefixes = hasRedundantPrefixes || rex != 0
        isREX = true
      default:
        return at
      }
      if !isREX && rex != 0 { hasRedundantPrefixes = true }
      rex = isREX ? byte : 0
      at += 1
    }
    return at
  }

  /// Reads SIB and displacement (SDM vol. 2, tables 2-1 to 2-3); false where the bytes end before them.
  private mutating func parseAddress(_ bytes: UnsafePointer<UInt8>, count: Int, at: inout Int) -> Bool {
    let mod = modRM >> 6
    let rm = modRM & 7
    if addressSize == .bits16 {
      displacementSize = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0
    } else {
      displacementSize = mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0
      if rm == 4 {
        guard at < count else { return false }
        sib = bytes[at]
        at += 1
        if mod == 0 && sib & 7 == 5 { displacementSize = 4 }
      }
    }
    displacementOffset = at
    at += displacementSize
    return at <= count
  }

  private func mayStartVector(_ byte: UInt8) -> Bool {
    byte == 0xc4 || byte == 0xc5 || byte == 0x62 || byte == 0x8f
  }

  /// How many bytes follow the first one of a VEX, EVEX or XOP prefix; 0 where it is none.
  private func vectorPayloadLength(prefix: UInt8, next: UInt8) -> Int {
    // XOP: the map number is at least 8; POP has 0 there.
    if prefix == 0x8f { return next & 0x1f >= 8 ? 2 : 0 }
    // Outside 64-bit code LES, LDS and BOUND have a memory operand, which the prefixes cannot look like.
    guard size == .bits64 || next >= 0xc0 else { return 0 }
    return prefix == 0xc5 ? 1 : prefix == 0xc4 ? 2 : 3
  }

  /// The immediate (or branch displacement), sign-extended from its encoded size.
  func immediate(_ bytes: UnsafePointer<UInt8>) -> Int64 {
    Self.signExtended(bytes + immediateOffset, size: immediateSize)
  }

  /// The displacement of the memory operand, sign-extended.
  func displacement(_ bytes: UnsafePointer<UInt8>) -> Int64 {
    Self.signExtended(bytes + displacementOffset, size: displacementSize)
  }

  static func signExtended(_ bytes: UnsafePointer<UInt8>, size: Int) -> Int64 {
    var value: UInt64 = 0
    for i in 0..<size { value |= UInt64(bytes[i]) << (8 * UInt64(i)) }
    let shift = 64 - 8 * Int64(size)
    return size == 0 ? 0 : Int64(bitPattern: value << UInt64(shift)) >> shift
  }
}
