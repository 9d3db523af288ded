import CCapstone
import Machine

/// What Capstone 4.0.2 does not know or gets wrong, decided from the bytes before it is asked. Later versions get some
/// of it right; the answer is the same then.
extension Lowering {
  /// The outcome, or nil where Capstone is to be asked.
  mutating func correctedBeforeCapstone() -> Outcome? {
    // LOCK is #UD on everything but read-modify-writes of memory (SDM vol. 2, LOCK).
    if encoding.hasLock && !encoding.isLockable { return .invalid }
    switch encoding.map {
    case .primary: return correctedPrimary()
    case .secondary: return correctedSecondary()
    case .map38: return correctedMap38()
    case .map3A: return correctedMap3A()
    case .vector:
      // VEX, EVEX and XOP stand behind no 66, F2, F3 or REX (SDM vol. 2, 2.3.2).
      if encoding.hasOperandSizePrefix || encoding.repeatPrefix != 0 || encoding.rex != 0 { return .invalid }
      // EVEX introduces AVX-512's instructions and XOP AMD's, which the processor never has: #UD.
      if bytes[encoding.prefixLength] == 0x62 || bytes[encoding.prefixLength] == 0x8f { return .invalid }
      return bitManipulation()
    }
  }

  /// Whether the prefix 66 makes a near branch of 64-bit code what only AMD's processors take it for. Capstone follows
  /// AMD for some opcodes only.
  private var isNearBranchWithOperandSize: Bool { is64 && encoding.hasOperandSizePrefix }

  private mutating func correctedPrimary() -> Outcome? {
    switch encoding.opcode {
    case 0x70...0x7f where isNearBranchWithOperandSize: return conditionalJump()
    case 0xe0 where isNearBranchWithOperandSize: return countedJump(.loopne)
    case 0xe1 where isNearBranchWithOperandSize: return countedJump(.loope)
    case 0xe2 where isNearBranchWithOperandSize: return countedJump(.loop)
    case 0xe3 where isNearBranchWithOperandSize: return countedJump(.jcxz)
    case 0xe8 where isNearBranchWithOperandSize: return relativeCall()
    case 0xe9 where isNearBranchWithOperandSize, 0xeb where isNearBranchWithOperandSize: return relativeJump()
    // RET with both 66 and REX.W is not decoded.
    case 0xc2 where isNearBranchWithOperandSize, 0xc3 where isNearBranchWithOperandSize: return nearReturn()
    // NOP and PAUSE, whose F3 Capstone loses behind a 66; with REX.B it is XCHG.
    case 0x90 where encoding.rex & 1 == 0:
      return encoding.repeatPrefix == 0xf3 ? plain(.pause, cost: .pause) : hint()
    // MOV with segment registers: Capstone names segment registers 6 and 7, loads CS, and heeds REX.R, which is ignored
    // (SDM vol. 2, 2.2.1.2).
    case 0x8c, 0x8e: return encoding.reg > 5 || encoding.opcode == 0x8e && encoding.reg == 1 ? .invalid : moveSegment()
    // XABORT and XBEGIN: no RTM.
    case 0xc6 where encoding.modRM == 0xf8, 0xc7 where encoding.modRM == 0xf8: return .invalid
    default: return nil
    }
  }

  private mutating func correctedMap38() -> Outcome? {
    switch encoding.opcode {
    // MMX's, those that have a mandatory prefix 66, and SHA: none is there with F2 or F3, which Capstone ignores. Key
    // Locker, which has F3, is not there at all.
    case 0x00...0xef where encoding.repeatPrefix != 0: return .invalid
    // SHA takes no prefix.
    case 0xc8...0xcd where encoding.hasOperandSizePrefix: return .invalid
    // INVEPT, INVVPID: no VMX.
    case 0x80, 0x81: return .invalid
    case 0xf0, 0xf1: return byteOrderOrChecksum()
    case 0xf6: return addThroughOneFlag()
    case 0xf9: return storeDirect()
    default: return nil
    }
  }

  private func correctedMap3A() -> Outcome? {
    switch encoding.opcode {
    // PALIGNR is MMX's or, with 66, SSSE3's; SHA1RNDS4 takes no prefix.
    case 0x0f: return encoding.repeatPrefix != 0 ? .invalid : nil
    case 0xcc: return encoding.repeatPrefix != 0 || encoding.hasOperandSizePrefix ? .invalid : nil
    // Everything else has the mandatory prefix 66, which Capstone does not ask for where REX.W is set.
    default: return encoding.repeatPrefix != 0 || !encoding.hasOperandSizePrefix ? .invalid : nil
    }
  }

  private mutating func correctedSecondary() -> Outcome? {
    switch encoding.opcode {
    case 0x01 where encoding.isRegisterForm: return group7()
    // WBNOINVD comes as WBINVD.
    case 0x09 where encoding.repeatPrefix == 0xf3:
      return plain(.writeBackCaches, terminal: true, extra: 2, cost: .microcoded)
    // UD2, UD1, UD0, the latter two with a ModRM byte that Capstone leaves in the stream.
    case 0x0b, 0xb9, 0xff: return finish(Operation(.invalidOpcode))
    // PREFETCH and PREFETCHW; Intel takes the register forms for NOPs.
    case 0x0d: return encoding.isRegisterForm && encoding.vendor == .amd ? .invalid : hint()
    // FEMMS and 3DNow!
    case 0x0e, 0x0f: return .invalid
    // Prefetches and the reserved NOPs (SDM vol. 2, appendix A, table A-3), ENDBR, RDSSP, CLDEMOTE and MPX without
    // these features.
    case 0x18...0x1f: return hint()
    case 0x20...0x23: return moveSystemRegister()
    // Test registers, GETSEC, RSM, VMREAD, VMWRITE, PadLock.
    case 0x24, 0x26, 0x37, 0xaa, 0x78, 0x79, 0xa6, 0xa7: return .invalid
    case 0x80...0x8f where isNearBranchWithOperandSize: return conditionalJump()
    case 0xae where encoding.isRegisterForm: return group15()
    // PTWRITE, CLRSSBSY and nothing.
    case 0xae where encoding.repeatPrefix != 0: return .invalid
    // JMPE; with F3 it is POPCNT. Capstone has none of the three in 16-bit code.
    case 0xb8: return encoding.repeatPrefix == 0xf3 ? bitCount(.popcnt) : .invalid
    case 0xbc where encoding.repeatPrefix == 0xf3: return bitCount(.tzcnt)
    case 0xbd where encoding.repeatPrefix == 0xf3: return bitCount(.lzcnt)
    // MOVNTI takes no prefix.
    case 0xc3 where encoding.repeatPrefix != 0 || encoding.hasOperandSizePrefix: return .invalid
    case 0xc7: return group9()
    default: return nil
    }
  }

  /// 0F 01 with a register: the instructions are told apart by the whole ModRM byte (SDM vol. 2, table A-6, group 7).
  private mutating func group7() -> Outcome? {
    let hasPrefix = encoding.hasOperandSizePrefix || encoding.repeatPrefix != 0
    switch encoding.modRM {
    case 0xc8: return monitor()
    case 0xc9: return plain(.mwait, terminal: true, cost: .microcoded)
    case 0xca where !hasPrefix: return plain(.clac, terminal: true)
    case 0xcb where !hasPrefix: return plain(.stac, terminal: true)
    case 0xd0 where !hasPrefix: return plain(.getXCR, width: 4, cost: .microcoded)
    case 0xd1 where !hasPrefix: return plain(.setXCR, terminal: true, width: 4, cost: .microcoded)
    case 0xe0...0xe7: return storeSystemSelector(.storeMachineStatus)
    case 0xe8 where !hasPrefix: return plain(.serialize, terminal: true, cost: .microcoded)
    case 0xee where !hasPrefix: return plain(.readKeys, width: 4, cost: .microcoded)
    case 0xef where !hasPrefix: return plain(.writeKeys, terminal: true, width: 4, cost: .microcoded)
    case 0xf0...0xf7: return loadSystemSelector(.loadMachineStatus)
    case 0xf8: return is64 ? plain(.swapGS, terminal: true, width: 4, cost: .swapGS) : .invalid
    case 0xf9: return plain(.readTimeStampAux, terminal: true, width: 4, cost: .readTimeStamp)
    // Virtual machine extensions, enclaves, transactions, shadow stacks, RDPRU: nothing that the processor has.
    default: return .invalid
    }
  }

  /// 0F AE with a register: fences, whose ModRM.rm is ignored, and the FS and GS bases (group 15).
  private mutating func group15() -> Outcome? {
    switch (encoding.repeatPrefix, encoding.reg) {
    case (0xf3, 0): return segmentBase(.fs, writes: false)
    case (0xf3, 1): return segmentBase(.gs, writes: false)
    case (0xf3, 2): return segmentBase(.fs, writes: true)
    case (0xf3, 3): return segmentBase(.gs, writes: true)
    case (0, 5) where !encoding.hasOperandSizePrefix: return plain(.fence, extra: 0, cost: .fence)
    case (0, 6) where !encoding.hasOperandSizePrefix: return plain(.fence, extra: 2, cost: .fence)
    case (0, 7) where !encoding.hasOperandSizePrefix: return plain(.fence, extra: 1, cost: .fence)
    // PTWRITE, INCSSP, UMONITOR, UMWAIT, TPAUSE.
    default: return .invalid
    }
  }

  /// 0F C7: CMPXCHG8B, the XSAVE family, and RDRAND, RDSEED and RDPID, which Capstone mixes up (group 9).
  private mutating func group9() -> Outcome? {
    switch encoding.reg {
    case 1: return encoding.isRegisterForm ? .invalid : nil
    case 6: return encoding.isRegisterForm && encoding.repeatPrefix == 0 ? random(.readRandom) : .invalid
    case 7 where encoding.isRegisterForm && encoding.repeatPrefix == 0xf3: return readPID()
    case 7: return encoding.isRegisterForm && encoding.repeatPrefix == 0 ? random(.readSeed) : .invalid
    default: return nil
    }
  }
}

extension InstructionEncoding {
  /// Whether LOCK may stand before this: a read-modify-write with a memory destination (SDM vol. 2, LOCK).
  var isLockable: Bool {
    guard hasModRM && !isRegisterForm else { return false }
    switch (map, opcode) {
    case (.primary, 0x00...0x37): return opcode & 7 < 2
    case (.primary, 0x80...0x83): return reg != 7
    case (.primary, 0x86), (.primary, 0x87): return true
    case (.primary, 0xf6), (.primary, 0xf7): return reg == 2 || reg == 3
    case (.primary, 0xfe), (.primary, 0xff): return reg < 2
    case (.secondary, 0xab), (.secondary, 0xb3), (.secondary, 0xbb): return true
    case (.secondary, 0xba): return reg > 4
    case (.secondary, 0xb0), (.secondary, 0xb1), (.secondary, 0xc0), (.secondary, 0xc1): return true
    case (.secondary, 0xc7): return reg == 1
    default: return false
    }
  }

  /// The names of instructions that Capstone does not know or confuses, for messages.
  var nameUnknownToCapstone: String? {
    if map == .map38 && opcode == 0xf9 { return "movdiri" }
    guard map == .secondary else { return nil }
    switch (opcode, modRM) {
    case (0x01, 0xe8): return "serialize"
    case (0x01, 0xee): return "rdpkru"
    case (0x01, 0xef): return "wrpkru"
    case (0x01, 0xfd): return "rdpru"
    case (0x09, _) where repeatPrefix == 0xf3: return "wbnoinvd"
    case (0x0b, _): return "ud2"
    case (0xb9, _): return "ud1"
    case (0xff, _): return "ud0"
    case (0x1e, 0xfa) where repeatPrefix == 0xf3: return "endbr64"
    case (0x1e, 0xfb) where repeatPrefix == 0xf3: return "endbr32"
    case (0x1e, 0xc0...0xff): return "nop"
    case (0xc7, 0xf8...0xff) where repeatPrefix == 0xf3: return "rdpid"
    default: return nil
    }
  }

  /// Whether the bytes have to be put in order before Capstone understands them as the processor does.
  var wantsCanonicalPrefixes: Bool { hasRedundantPrefixes }

  /// Writes the instruction with each prefix that counts once, in the usual order, and returns its length: at most that
  /// of the original.
  func writeCanonical(_ bytes: UnsafePointer<UInt8>, to output: UnsafeMutablePointer<UInt8>) -> Int {
    var at = 0
    func append(_ byte: UInt8) {
      output[at] = byte
      at += 1
    }
    // LOCK with F2 or F3 is a hint to elide the lock, which is ignored.
    if hasLock { append(0xf0) } else if repeatPrefix != 0 { append(repeatPrefix) }
    switch segmentOverride {
    case .es: append(0x26)
    case .cs: append(0x2e)
    case .ss: append(0x36)
    case .ds: append(0x3e)
    case .fs: append(0x64)
    case .gs: append(0x65)
    case nil: break
    }
    if hasOperandSizePrefix { append(0x66) }
    if hasAddressSizePrefix { append(0x67) }
    if rex != 0 { append(rex) }
    for i in prefixLength..<length { append(bytes[i]) }
    return at
  }
}
