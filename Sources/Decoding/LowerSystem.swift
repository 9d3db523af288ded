import CCapstone
import Machine

extension Lowering {
  /// The size of operands that are 64 bits in 64-bit code and 32 bits elsewhere, whatever the prefixes: control and
  /// debug registers.
  private var nativeWidth: Int { is64 ? 8 : 4 }

  /// MOV with control and debug registers. ModRM.mod is ignored, so everything is taken from the bytes.
  mutating func moveSystemRegister() -> Outcome {
    let number = UInt16(encoding.reg | (encoding.rex & 4) << 1)
    let operands = Operands(shape: .r, dst: registerOfRM)
    let isControl = encoding.opcode & 1 == 0
    // CR1, CR5 to CR7 and CR9 upward don't exist, nor do DR8 and upward (SDM vol. 2, MOV).
    if isControl && number != 0 && !(2...4).contains(number) && number != 8 { return .invalid }
    if !isControl && number > 7 { return .invalid }
    let callout: Callout =
      switch encoding.opcode {
      case 0x20: .movFromControl
      case 0x21: .movFromDebug
      case 0x22: .movToControl
      default: .movToDebug
      }
    return self.callout(
      callout, terminal: true, operands, width: nativeWidth, extra: number, cost: .moveControl)
  }

  /// MOV with segment registers.
  mutating func moveSegment() -> Outcome {
    let number = encoding.reg
    guard number < 6 else { return .invalid }
    let isLoad = encoding.opcode == 0x8e
    // MOV cannot load CS.
    if isLoad && number == SegmentRegister.cs.rawValue { return .invalid }
    guard let operands = registerOrMemory() else { return .unsupported }
    if isLoad {
      return callout(
        .movToSegment, terminal: true, operands, width: 2, extra: UInt16(number), cost: .loadSegment)
    }
    return callout(
      .movFromSegment, operands, width: operands.shape == .m ? 2 : encoding.operandSize, extra: UInt16(number))
  }

  /// ModRM.rm as a general register or memory, from the bytes.
  private mutating func registerOrMemory() -> Operands? {
    if encoding.isRegisterForm { return Operands(shape: .r, dst: registerOfRM) }
    return memory(memoryOfRM()).map { Operands(shape: .m, memory: $0) }
  }

  /// LGDT, LIDT, SGDT, SIDT. In 64-bit code the base has 64 bits whatever the prefixes.
  mutating func descriptorTable(_ callout: Callout, loads: Bool) -> Outcome {
    guard let operands = gather(), operands.shape == .m else { return .invalid }
    return self.callout(
      callout, terminal: loads, operands, width: is64 ? 8 : encoding.operandSize,
      cost: loads ? .loadDescriptorTable : .microcoded)
  }

  /// LLDT, LTR, LMSW: 16 bits from a register or memory.
  mutating func loadSystemSelector(_ callout: Callout) -> Outcome {
    guard let operands = registerOrMemory() else { return .unsupported }
    return self.callout(
      callout, terminal: true, operands, width: 2,
      cost: callout == .loadMachineStatus ? .moveControl : .loadSegment)
  }

  /// SLDT, STR, SMSW: 16 bits to memory, the operand size to a register.
  mutating func storeSystemSelector(_ callout: Callout) -> Outcome {
    guard let operands = registerOrMemory() else { return .unsupported }
    return self.callout(
      callout, operands, width: operands.shape == .m ? 2 : encoding.operandSize, cost: .microcoded)
  }

  /// VERR, VERW.
  mutating func verify(_ callout: Callout) -> Outcome {
    guard let operands = registerOrMemory() else { return .unsupported }
    return self.callout(callout, operands, width: 2, cost: .microcoded)
  }

  /// LAR, LSL: the selector has 16 bits whatever the operand size.
  mutating func loadDescriptorPart(_ callout: Callout) -> Outcome {
    guard let operands = gather() else { return .unsupported }
    return self.callout(callout, operands, width: encoding.operandSize, sourceWidth: 2, cost: .microcoded)
  }

  /// LDS, LES, LSS, LFS, LGS. As with far branches, AMD ignores REX.W.
  mutating func loadFarPointer(_ segment: SegmentRegister) -> Outcome {
    guard let operands = gather(), operands.shape == .rm else { return .invalid }
    var width = encoding.operandSize
    if width == 8 && encoding.vendor == .amd { width = 4 }
    return callout(
      .loadFarPointer, terminal: true, operands, width: width, extra: UInt16(segment.rawValue), cost: .loadSegment)
  }

  mutating func invalidatePage() -> Outcome {
    guard let operands = gather(), operands.shape == .m else { return .invalid }
    return callout(.invalidatePage, terminal: true, operands, width: 1, cost: .invalidatePage)
  }

  mutating func invalidatePCID() -> Outcome {
    guard let operands = gather(), operands.shape == .rm else { return .invalid }
    return callout(
      .invalidatePCID, terminal: true, operands, width: nativeWidth, sourceWidth: 16, cost: .invalidatePage)
  }

  /// CLFLUSH, CLFLUSHOPT, CLWB.
  mutating func cacheLine(_ kind: UInt16) -> Outcome {
    guard let operands = gather(), operands.shape == .m else { return .invalid }
    return callout(.cacheLineFlush, operands, width: 1, extra: kind, cost: .cacheLine)
  }

  /// RDFSBASE and its kin exist in 64-bit code only.
  mutating func segmentBase(_ segment: SegmentRegister, writes: Bool) -> Outcome {
    guard is64, encoding.isRegisterForm else { return .invalid }
    return callout(
      writes ? .writeFSGSBase : .readFSGSBase, terminal: writes, Operands(shape: .r, dst: registerOfRM),
      width: encoding.isWide ? 8 : 4, extra: UInt16(segment.rawValue), cost: .microcoded)
  }

  mutating func readPID() -> Outcome {
    callout(.readPID, Operands(shape: .r, dst: registerOfRM), width: nativeWidth, cost: .microcoded)
  }

  mutating func monitor() -> Outcome {
    callout(.monitor, Operands(memory: MemoryOperand(segment: impliedSegment)), width: 1, cost: .microcoded)
  }

  /// SYSRET and SYSEXIT, which return to 64-bit code with REX.W.
  mutating func returnToUser(_ callout: Callout) -> Outcome {
    self.callout(callout, terminal: true, width: encoding.isWide ? 8 : 4, cost: .systemReturn)
  }

  /// Hint NOPs, prefetches and ENDBR; one of them is the mark.
  mutating func hint() -> Outcome {
    if let mark = encoding.mark(bytes) { return finish(Operation(.mark, cost: .free, n: mark)) }
    return finish(Operation(.nop))
  }
}

extension InstructionEncoding {
  /// The displacement that makes `0F 1F 84 00` the mark of region 0; the low byte is the region.
  private static let markDisplacement: Int64 = 0x5045_4e00

  /// The region of the mark that this is, or nil.
  func mark(_ bytes: UnsafePointer<UInt8>) -> UInt8? {
    guard map == .secondary, opcode == 0x1f, modRM == 0x84, sib == 0, displacementSize == 4 else { return nil }
    let displacement = displacement(bytes)
    return displacement & ~0xff == Self.markDisplacement ? UInt8(displacement & 0xff) : nil
  }
}
