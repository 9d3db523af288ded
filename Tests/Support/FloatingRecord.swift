import Machine

/// What an x87 or MMX instruction works on, for the host's processor and for the modelled one alike.
public struct FloatingRecord: Sendable {
  public var x87 = X87State()
  /// XMM0 to XMM7.
  public var xmm = [Vector128](repeating: Vector128(), count: 8)
  /// 128 bytes of memory, to which RDI points with a displacement of 0x400.
  public var memory = [UInt64](repeating: 0, count: 16)
  public var mxcsr = MXCSR.initial
  public var flags: UInt64 = 2
  public var rax: UInt64 = 0
  /// The tag word of FNSTENV afterwards, and the operand's address in the memory.
  public var tags: UInt16 = 0
  public var operand: UInt64 = 0

  public init() {}

  /// Everything but the x87's registers, in a fixed order.
  public var words: [UInt64] {
    [
      UInt64(x87.control), UInt64(x87.statusWord), UInt64(x87.tags), UInt64(tags), UInt64(x87.opcode), operand,
      UInt64(mxcsr), flags, rax,
    ] + memory + xmm.flatMap { [$0.x, $0.y] }
  }

  public var registers: [ExtendedReal] { (0..<8).map { x87.registers[$0] } }

  public var text: String {
    func hex(_ value: UInt64) -> String { String(value, radix: 16) }
    let stack = (0..<8).map { "\(hex(UInt64(x87[$0].head))):\(hex(x87[$0].significand))" }
    return "stack \(stack.joined(separator: " ")), words \(words.map(hex).joined(separator: " "))"
  }
}
