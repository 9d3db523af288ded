/// What turns bytes into operations. The machine does not know Capstone: `Decoding` implements this.
public protocol InstructionDecoder: AnyObject {
  /// Decodes the one instruction at `bytes` and appends its operations.
  ///
  /// - Parameters:
  ///   - bytes: at least `count` readable bytes, `count` in 1...15.
  ///   - rip: the offset of the first byte in CS, from which branch targets and RIP-relative addresses are computed. In
  ///     64-bit mode, where CS has no base, it is the linear address too.
  ///   - output: room for `InstructionDecoder.maximumOperations` operations.
  /// - Returns: what was found; on `.decoded` that many operations were written, the last one with the length.
  func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize, into output: UnsafeMutablePointer<Operation>
  ) -> DecodeResult

  /// Describes an instruction for a message: its mnemonic and operands; nil where the bytes are none.
  func disassemble(_ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize) -> String?
}

extension InstructionDecoder {
  /// The most operations that one instruction becomes.
  public static var maximumOperations: Int { 4 }
}

/// What `InstructionDecoder.decode` found.
public enum DecodeResult: Equatable, Sendable {
  /// An instruction of `length` bytes that became `operations` operations.
  case decoded(length: Int, operations: Int)
  /// The bytes end before the instruction does: come back with more.
  case truncated
  /// Not an instruction: #UD.
  case invalid
  /// An instruction longer than 15 bytes: #GP(0).
  case tooLong
  /// An instruction that Penumbra knows by name but does not execute yet.
  case unsupported(mnemonic: String, length: Int)
}
