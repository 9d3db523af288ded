import CCapstone
import Machine

/// One instruction on its way to operations: what its bytes and Capstone say of it, and where its operations go.
///
/// The files `Lower*.swift` extend it by family. A family's function returns an `Outcome`; it has emitted the
/// operations if that is `lowered`.
struct Lowering {
  /// What became of an instruction.
  enum Outcome {
    case lowered
    /// Not an instruction in this mode or form: #UD.
    case invalid
    /// An instruction that has no operation yet.
    case unsupported
  }

  let bytes: UnsafePointer<UInt8>
  var encoding: InstructionEncoding
  let instruction: UnsafePointer<DecodedInstruction>
  /// The offset in CS of the first byte.
  let rip: UInt64
  let output: UnsafeMutablePointer<Operation>
  var count = 0

  var size: CodeSize { encoding.size }
  var is64: Bool { encoding.size == .bits64 }
  /// The offset in CS of the next instruction.
  var next: UInt64 { rip &+ UInt64(encoding.length) }
  /// The immediate, sign-extended from its encoded size.
  var immediate: Int64 { encoding.immediate(bytes) }
  /// The immediate, zero-extended from its encoded size.
  var unsignedImmediate: Int64 {
    encoding.immediateSize == 8 ? immediate : immediate & ((1 << (8 * Int64(encoding.immediateSize))) - 1)
  }

  init(
    _ bytes: UnsafePointer<UInt8>, encoding: InstructionEncoding, instruction: UnsafePointer<DecodedInstruction>,
    rip: UInt64, output: UnsafeMutablePointer<Operation>
  ) {
    self.bytes = bytes
    self.encoding = encoding
    self.instruction = instruction
    self.rip = rip
    self.output = output
  }

  /// Appends an operation that prepares the instruction's last one.
  mutating func prepare(_ operation: Operation) {
    output[count] = operation
    output[count].cycles = UInt16(CostClass.free.rawValue)
    count += 1
  }

  /// Appends the instruction's last operation.
  mutating func finish(_ operation: Operation) -> Outcome {
    output[count] = operation
    output[count].length = UInt8(encoding.length)
    count += 1
    return .lowered
  }

  /// Appends `handler` with the operands that `gather` found.
  mutating func finish(
    _ handler: Handler, _ operands: Operands, imm: Int64? = nil, cost: CostClass = .simple, n: UInt8 = 0
  ) -> Outcome {
    finish(
      Operation(
        handler, dst: operands.dst, src: operands.src, base: operands.memory.base, index: operands.memory.index,
        scale: operands.memory.scale, imm: imm ?? operands.imm, disp: operands.memory.disp, cost: cost, n: n))
  }

  /// Appends a callout with the operands that `gather` found.
  mutating func callout(
    _ callout: Callout, terminal: Bool = false, _ operands: Operands = Operands(), width: Int, sourceWidth: Int = 0,
    imm: Int64? = nil, locked: Bool = false, countInCL: Bool = false, extra: UInt16 = 0, vector: VectorForm? = nil,
    cost: CostClass = .simple
  ) -> Outcome {
    let form = OperandForm(
      operands.shape, width: width, sourceWidth: sourceWidth, locked: locked, countInCL: countInCL,
      addressSize: encoding.addressSize, segment: operands.memory.segment, extra: extra, vector: vector)
    var operation = Operation(
      terminal ? .calloutTerminal : .callout, dst: operands.dst, src: operands.src, base: operands.memory.base,
      index: operands.memory.index, scale: operands.memory.scale, imm: imm ?? operands.imm,
      disp: operands.memory.disp, cost: locked ? .locked : cost, n: callout.rawValue)
    operation.link = form.rawValue
    return finish(operation)
  }
}
