import CCapstone
import Machine

/// Decodes guest code through Capstone. Not shared between threads: it reuses one instruction's memory.
public final class CapstoneDecoder: InstructionDecoder {
  /// The longest instruction (SDM vol. 2, 2.3.11).
  static let longest = 15

  private let vendor: Vendor
  private let engine16: OpaquePointer
  private let engine32: OpaquePointer
  private let engine64: OpaquePointer
  private let instruction: UnsafeMutablePointer<DecodedInstruction>

  /// - Parameter vendor: whose reading of the manual counts where the vendors differ.
  public init(vendor: Vendor = .intel) {
    func engine(_ bits: Int32) -> OpaquePointer {
      guard let engine = capstoneEngineCreate(bits) else {
        preconditionFailure("libcapstone has no x86 disassembler")
      }
      return engine
    }
    self.vendor = vendor
    engine16 = engine(16)
    engine32 = engine(32)
    engine64 = engine(64)
    instruction = .allocate(capacity: 1)
    instruction.initialize(to: DecodedInstruction())
  }

  deinit {
    capstoneEngineDestroy(engine16)
    capstoneEngineDestroy(engine32)
    capstoneEngineDestroy(engine64)
    instruction.deallocate()
  }

  private func engine(_ size: CodeSize) -> OpaquePointer {
    switch size {
    case .bits16: engine16
    case .bits32: engine32
    case .bits64: engine64
    }
  }

  public func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize,
    into output: UnsafeMutablePointer<Operation>
  ) -> DecodeResult {
    let count = min(count, Self.longest)
    guard let encoding = InstructionEncoding(bytes, count: count, size: size, vendor: vendor) else {
      return count < Self.longest ? .truncated : .tooLong
    }
    var lowering = Lowering(bytes, encoding: encoding, instruction: instruction, rip: rip, output: output)
    let outcome: Lowering.Outcome
    if let corrected = lowering.correctedBeforeCapstone() {
      outcome = corrected
    } else if let vector = lowering.vectorInstruction() {
      outcome = vector
    } else if understand(bytes, encoding, rip: rip) {
      outcome = lowering.lower()
    } else {
      return .invalid
    }
    switch outcome {
    case .lowered: return .decoded(length: encoding.length, operations: lowering.count)
    case .invalid: return .invalid
    case .unsupported:
      return .unsupported(mnemonic: mnemonic(bytes, encoding, rip: rip), length: encoding.length)
    }
  }

  public func disassemble(_ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize) -> String? {
    let count = min(count, Self.longest)
    guard let encoding = InstructionEncoding(bytes, count: count, size: size, vendor: vendor) else { return nil }
    if let name = encoding.nameUnknownToCapstone { return name }
    guard understand(bytes, encoding, rip: rip) else { return nil }
    let mnemonic = String(cString: capstoneEngineMnemonic(engine(size)))
    let operands = String(cString: capstoneEngineOperands(engine(size)))
    return operands.isEmpty ? mnemonic : mnemonic + " " + operands
  }

  /// Has Capstone fill `instruction`; false where it knows none.
  private func understand(_ bytes: UnsafePointer<UInt8>, _ encoding: InstructionEncoding, rip: UInt64) -> Bool {
    guard encoding.wantsCanonicalPrefixes else {
      return capstoneEngineDecode(engine(encoding.size), bytes, encoding.length, rip, instruction)
    }
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 2 * Self.longest) { canonical in
      guard let start = canonical.baseAddress else { return false }
      let length = encoding.writeCanonical(bytes, to: start)
      // The address is moved along so that the next instruction, which branches and RIP-relative operands count from,
      // stays.
      let address = rip &+ UInt64(encoding.length) &- UInt64(length)
      return capstoneEngineDecode(engine(encoding.size), start, length, address, instruction)
    }
  }

  private func mnemonic(_ bytes: UnsafePointer<UInt8>, _ encoding: InstructionEncoding, rip: UInt64) -> String {
    if let name = encoding.nameUnknownToCapstone { return name }
    guard understand(bytes, encoding, rip: rip) else { return "(unknown)" }
    return String(cString: capstoneEngineMnemonic(engine(encoding.size)))
  }
}
