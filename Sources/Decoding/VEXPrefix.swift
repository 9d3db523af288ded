import Machine

/// A VEX prefix (SDM vol. 2, 2.3.5), inverted fields the right way round.
struct VEXPrefix {
  var map: UInt8
  /// The prefix that is implied: 0 none, 1 66, 2 F3, 3 F2.
  var prefix: UInt8
  /// VEX.W; as the size of a general register it counts in 64-bit code only.
  var w: Bool
  var isWide: Bool
  /// VEX.L: 256 bits.
  var isLong: Bool
  /// VEX.vvvv as a register number, and whether it names none.
  var register: UInt8
  var hasNoRegister: Bool
  var `extension`: Lowering.Extension

  /// Nil where the instruction has no such prefix. Outside 64-bit code there are eight registers and no wide operands:
  /// VEX.B and the topmost bit of VEX.vvvv are ignored.
  init?(_ bytes: UnsafePointer<UInt8>, _ encoding: InstructionEncoding) {
    guard encoding.map == .vector else { return nil }
    let first = bytes[encoding.prefixLength + 1]
    let last: UInt8
    switch bytes[encoding.prefixLength] {
    case 0xc4:
      map = first & 0x1f
      last = bytes[encoding.prefixLength + 2]
      w = last & 0x80 != 0
      `extension` = ~(first >> 5) & 7
    case 0xc5:
      map = 1
      last = first
      w = false
      // R alone.
      `extension` = ~(first >> 5) & 4
    default: return nil
    }
    let is64 = encoding.size == .bits64
    let number = ~(last >> 3) & 0xf
    prefix = last & 3
    isWide = is64 && w
    isLong = last & 4 != 0
    register = is64 ? number : number & 7
    hasNoRegister = number == 0
    if !is64 { `extension` = 0 }
  }

  /// The instruction as if its prefix were legacy ones, for the tables that both share; nil for a map that has nothing.
  func legacy(_ encoding: InstructionEncoding) -> InstructionEncoding? {
    var result = encoding
    switch map {
    case 1: result.map = .secondary
    case 2: result.map = .map38
    case 3: result.map = .map3A
    default: return nil
    }
    result.rex = `extension` | (isWide ? 8 : 0)
    result.hasOperandSizePrefix = prefix == 1
    result.repeatPrefix = prefix == 2 ? 0xf3 : prefix == 3 ? 0xf2 : 0
    return result
  }
}
