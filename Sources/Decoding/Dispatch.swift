import CCapstone
import Machine

extension Lowering {
  /// Lowers what Capstone understood: one row an instruction, in the order of the families.
  mutating func lower() -> Outcome {
    switch x86_insn(instruction.pointee.id) {
    // Moves
    case X86_INS_MOV, X86_INS_MOVABS: return move()
    case X86_INS_MOVZX: return extend(signed: false)
    case X86_INS_MOVSX, X86_INS_MOVSXD: return extend(signed: true)
    case X86_INS_CMOVO, X86_INS_CMOVNO, X86_INS_CMOVB, X86_INS_CMOVAE, X86_INS_CMOVE, X86_INS_CMOVNE, X86_INS_CMOVBE,
      X86_INS_CMOVA, X86_INS_CMOVS, X86_INS_CMOVNS, X86_INS_CMOVP, X86_INS_CMOVNP, X86_INS_CMOVL, X86_INS_CMOVGE,
      X86_INS_CMOVLE, X86_INS_CMOVG:
      return conditionalMove()
    case X86_INS_SETO, X86_INS_SETNO, X86_INS_SETB, X86_INS_SETAE, X86_INS_SETE, X86_INS_SETNE, X86_INS_SETBE,
      X86_INS_SETA, X86_INS_SETS, X86_INS_SETNS, X86_INS_SETP, X86_INS_SETNP, X86_INS_SETL, X86_INS_SETGE,
      X86_INS_SETLE, X86_INS_SETG:
      return setCondition()
    case X86_INS_XCHG: return exchange()
    case X86_INS_BSWAP: return swapBytes()
    case X86_INS_LEA: return loadAddress()
    case X86_INS_XLATB: return translateByte()
    case X86_INS_MOVNTI: return storeNonTemporal()
    case X86_INS_LAHF: return plain(.lahf)
    case X86_INS_SAHF: return plain(.sahf)
    case X86_INS_CBW, X86_INS_CWDE, X86_INS_CDQE: return convertInAccumulator()
    case X86_INS_CWD, X86_INS_CDQ, X86_INS_CQO: return plain(.convertToDX, width: encoding.operandSize)

    // Stack
    case X86_INS_PUSH: return push()
    case X86_INS_POP: return pop()
    case X86_INS_PUSHF, X86_INS_PUSHFD, X86_INS_PUSHFQ: return pushFlags()
    case X86_INS_POPF, X86_INS_POPFD, X86_INS_POPFQ: return popFlags()
    case X86_INS_PUSHAW, X86_INS_PUSHAL: return pushOrPopAll(.pushAll)
    case X86_INS_POPAW, X86_INS_POPAL: return pushOrPopAll(.popAll)
    case X86_INS_ENTER: return enter()
    case X86_INS_LEAVE: return leave()

    // Arithmetic and logic
    case X86_INS_ADD: return binary(.add, .add)
    case X86_INS_OR: return binary(.or, .or)
    case X86_INS_ADC: return binary(.adc, .adc)
    case X86_INS_SBB: return binary(.sbb, .sbb)
    case X86_INS_AND: return binary(.and, .and)
    case X86_INS_SUB: return binary(.sub, .sub)
    case X86_INS_XOR: return binary(.xor, .xor)
    case X86_INS_CMP: return binary(.cmp, .cmp)
    case X86_INS_TEST: return binary(.test, .test)
    case X86_INS_INC: return unary(.inc, w32: .incR32, w64: .incR64)
    case X86_INS_DEC: return unary(.dec, w32: .decR32, w64: .decR64)
    case X86_INS_NEG: return unary(.neg, w32: .negR32, w64: .negR64)
    case X86_INS_NOT: return unary(.not, w32: .notR32, w64: .notR64)
    case X86_INS_MUL: return multiplyOrDivide(.mul, isDivision: false)
    case X86_INS_IMUL: return signedMultiply()
    case X86_INS_DIV: return multiplyOrDivide(.div, isDivision: true)
    case X86_INS_IDIV: return multiplyOrDivide(.idiv, isDivision: true)
    case X86_INS_XADD: return exchanging(.xadd)
    case X86_INS_CMPXCHG: return exchanging(.cmpxchg)
    case X86_INS_CMPXCHG8B, X86_INS_CMPXCHG16B: return compareExchangePair()

    // Shifts and bits
    case X86_INS_SHL, X86_INS_SAL: return shift(.shl, .shl)
    case X86_INS_SHR: return shift(.shr, .shr)
    case X86_INS_SAR: return shift(.sar, .sar)
    case X86_INS_ROL: return shift(.rol, .rol)
    case X86_INS_ROR: return shift(.ror, .ror)
    case X86_INS_RCL: return shift(.rcl, nil)
    case X86_INS_RCR: return shift(.rcr, nil)
    case X86_INS_SHLD: return doubleShift(.shld)
    case X86_INS_SHRD: return doubleShift(.shrd)
    case X86_INS_BT: return bitTest(.bt)
    case X86_INS_BTS: return bitTest(.bts)
    case X86_INS_BTR: return bitTest(.btr)
    case X86_INS_BTC: return bitTest(.btc)
    case X86_INS_BSF: return bitScan(.bsf)
    case X86_INS_BSR: return bitScan(.bsr)
    case X86_INS_TZCNT: return bitScan(.tzcnt)
    case X86_INS_LZCNT: return bitScan(.lzcnt)
    case X86_INS_POPCNT: return bitScan(.popcnt)

    // Strings. MOVSD and CMPSD are SSE's names too, of another opcode map.
    case X86_INS_MOVSB, X86_INS_MOVSW, X86_INS_MOVSD, X86_INS_MOVSQ:
      return encoding.map == .primary ? string(.movs) : .unsupported
    case X86_INS_CMPSB, X86_INS_CMPSW, X86_INS_CMPSD, X86_INS_CMPSQ:
      return encoding.map == .primary ? string(.cmps) : .unsupported
    case X86_INS_STOSB, X86_INS_STOSW, X86_INS_STOSD, X86_INS_STOSQ: return string(.stos)
    case X86_INS_LODSB, X86_INS_LODSW, X86_INS_LODSD, X86_INS_LODSQ: return string(.lods)
    case X86_INS_SCASB, X86_INS_SCASW, X86_INS_SCASD, X86_INS_SCASQ: return string(.scas)
    case X86_INS_INSB, X86_INS_INSW, X86_INS_INSD: return portString(.ins)
    case X86_INS_OUTSB, X86_INS_OUTSW, X86_INS_OUTSD: return portString(.outs)

    default: return lowerControlAndSystem()
    }
  }

  private mutating func lowerControlAndSystem() -> Outcome {
    switch x86_insn(instruction.pointee.id) {
    // Control
    case X86_INS_JO, X86_INS_JNO, X86_INS_JB, X86_INS_JAE, X86_INS_JE, X86_INS_JNE, X86_INS_JBE, X86_INS_JA,
      X86_INS_JS, X86_INS_JNS, X86_INS_JP, X86_INS_JNP, X86_INS_JL, X86_INS_JGE, X86_INS_JLE, X86_INS_JG:
      return conditionalJump()
    case X86_INS_JMP, X86_INS_LJMP: return jump()
    case X86_INS_CALL, X86_INS_LCALL: return call()
    case X86_INS_RET: return nearReturn()
    case X86_INS_RETF, X86_INS_RETFQ: return farReturn()
    case X86_INS_IRET, X86_INS_IRETD, X86_INS_IRETQ: return interruptReturn()
    case X86_INS_LOOP: return countedJump(.loop)
    case X86_INS_LOOPE: return countedJump(.loope)
    case X86_INS_LOOPNE: return countedJump(.loopne)
    case X86_INS_JCXZ, X86_INS_JECXZ, X86_INS_JRCXZ: return countedJump(.jcxz)
    case X86_INS_INT: return interrupt()
    case X86_INS_INT3: return plain(.breakpoint, terminal: true, cost: .microcoded)
    case X86_INS_INTO: return is64 ? .invalid : plain(.overflow, terminal: true, cost: .microcoded)
    case X86_INS_INT1: return plain(.debugTrap, terminal: true, cost: .microcoded)

    // Flags
    case X86_INS_CLC: return plain(.clc)
    case X86_INS_STC: return plain(.stc)
    case X86_INS_CMC: return plain(.cmc)
    case X86_INS_CLD: return plain(.cld)
    case X86_INS_STD: return plain(.std)
    case X86_INS_CLI: return plain(.cli, terminal: true)
    case X86_INS_STI: return plain(.sti, terminal: true)

    // Decimal adjustment, and other instructions that 64-bit code has not
    case X86_INS_AAA: return plain(.aaa, cost: .microcoded)
    case X86_INS_AAS: return plain(.aas, cost: .microcoded)
    case X86_INS_AAM: return adjustByBase(.aam)
    case X86_INS_AAD: return adjustByBase(.aad)
    case X86_INS_DAA: return plain(.daa, cost: .microcoded)
    case X86_INS_DAS: return plain(.das, cost: .microcoded)
    case X86_INS_BOUND: return checkBounds()
    case X86_INS_ARPL: return adjustPrivilege()
    case X86_INS_SALC: return plain(.setALFromCarry)

    // Ports
    case X86_INS_IN: return port(.in)
    case X86_INS_OUT: return port(.out)

    // System
    case X86_INS_SYSCALL: return plain(.sysCall, terminal: true, width: 8, cost: .systemCall)
    case X86_INS_SYSENTER: return plain(.sysEnter, terminal: true, width: 8, cost: .systemCall)
    case X86_INS_SYSRET: return returnToUser(.sysReturn)
    case X86_INS_SYSEXIT: return returnToUser(.sysExit)
    case X86_INS_HLT: return plain(.halt, terminal: true, width: 4, cost: .microcoded)
    case X86_INS_CPUID: return plain(.cpuid, terminal: true, width: 4, cost: .cpuid)
    case X86_INS_RDTSC: return plain(.readTimeStamp, terminal: true, width: 4, cost: .readTimeStamp)
    case X86_INS_RDMSR: return plain(.readMSR, terminal: true, width: 4, cost: .readMSR)
    case X86_INS_WRMSR: return plain(.writeMSR, terminal: true, width: 4, cost: .writeMSR)
    case X86_INS_RDPMC: return plain(.readCounter, width: 4, cost: .microcoded)
    case X86_INS_CLTS: return plain(.clearTaskSwitched, terminal: true, cost: .moveControl)
    case X86_INS_LMSW: return loadSystemSelector(.loadMachineStatus)
    case X86_INS_SMSW: return storeSystemSelector(.storeMachineStatus)
    case X86_INS_LGDT: return descriptorTable(.loadGDT, loads: true)
    case X86_INS_LIDT: return descriptorTable(.loadIDT, loads: true)
    case X86_INS_SGDT: return descriptorTable(.storeGDT, loads: false)
    case X86_INS_SIDT: return descriptorTable(.storeIDT, loads: false)
    case X86_INS_LLDT: return loadSystemSelector(.loadLDT)
    case X86_INS_LTR: return loadSystemSelector(.loadTask)
    case X86_INS_SLDT: return storeSystemSelector(.storeLDT)
    case X86_INS_STR: return storeSystemSelector(.storeTask)
    case X86_INS_VERR: return verify(.verifyRead)
    case X86_INS_VERW: return verify(.verifyWrite)
    case X86_INS_LAR: return loadDescriptorPart(.loadAccessRights)
    case X86_INS_LSL: return loadDescriptorPart(.loadSegmentLimit)
    case X86_INS_LDS: return loadFarPointer(.ds)
    case X86_INS_LES: return loadFarPointer(.es)
    case X86_INS_LSS: return loadFarPointer(.ss)
    case X86_INS_LFS: return loadFarPointer(.fs)
    case X86_INS_LGS: return loadFarPointer(.gs)
    case X86_INS_INVLPG: return invalidatePage()
    case X86_INS_INVPCID: return invalidatePCID()
    case X86_INS_INVD: return plain(.writeBackCaches, terminal: true, extra: 0, cost: .microcoded)
    case X86_INS_WBINVD: return plain(.writeBackCaches, terminal: true, extra: 1, cost: .microcoded)
    case X86_INS_CLFLUSH: return cacheLine(0)
    case X86_INS_CLFLUSHOPT: return cacheLine(1)
    case X86_INS_CLWB: return cacheLine(2)
    // CLWB with REX.W comes as XSAVEOPT64, which the prefix 66 excludes.
    case X86_INS_XSAVEOPT, X86_INS_XSAVEOPT64: return encoding.hasOperandSizePrefix ? cacheLine(2) : .unsupported
    default: return .unsupported
    }
  }
}
