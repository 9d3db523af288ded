/// A family of instructions that Penumbra executes. `Docs/Instructions.md` is made of the table below.
public struct InstructionFamily: Sendable {
  public let name: String
  /// The file of `Instructions/` that has its semantics.
  public let file: String
  /// As the manual names them.
  public let mnemonics: String
  public let callouts: [Callout]
  /// What CPUID has to show, each for the instructions of that name.
  public let features: FeatureSet
  public let note: String

  init(
    _ name: String, _ file: String, _ mnemonics: String, _ callouts: [Callout], features: FeatureSet = [],
    note: String = ""
  ) {
    self.name = name
    self.file = file
    self.mnemonics = mnemonics
    self.callouts = callouts
    self.features = features
    self.note = note
  }

  /// Every family; each callout stands in one of them.
  public static let all: [InstructionFamily] = [
    InstructionFamily(
      "Moves", "Move",
      "MOV, MOVABS, MOVZX, MOVSX, MOVSXD, CMOVcc, SETcc, XCHG, BSWAP, XLAT, LAHF, SAHF, CBW, CWDE, CDQE, CWD, CDQ, "
        + "CQO, LEA, MOVNTI",
      [.mov, .movzx, .movsx, .cmovcc, .setcc, .xchg, .bswap, .xlat, .lahf, .sahf, .convertInAX, .convertToDX, .lea],
      features: [.cmov, .lahfLM], note: "MOVNTI is a store: there is no write combining"),
    InstructionFamily(
      "Stack", "Stack", "PUSH, POP, PUSHF, POPF, PUSHA, POPA, ENTER, LEAVE",
      [.push, .pop, .pushFlags, .popFlags, .pushAll, .popAll, .enter, .leave], note: "PUSHA, POPA: not in 64-bit code"),
    InstructionFamily(
      "Arithmetic", "Arithmetic", "ADD, ADC, SUB, SBB, CMP, INC, DEC, NEG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B",
      [.add, .adc, .sub, .sbb, .cmp, .inc, .dec, .neg, .xadd, .cmpxchg, .cmpxchg8b, .cmpxchg16b],
      features: [.cx8, .cx16], note: "with LOCK where memory is the destination"),
    InstructionFamily(
      "Multiplication and division", "Multiply", "MUL, IMUL, DIV, IDIV", [.mul, .imulWide, .imul, .div, .idiv]),
    InstructionFamily("Logic", "Logic", "AND, OR, XOR, TEST, NOT", [.and, .or, .xor, .test, .not]),
    InstructionFamily(
      "Shifts", "Shift", "ROL, ROR, RCL, RCR, SHL, SAL, SHR, SAR, SHLD, SHRD",
      [.rol, .ror, .rcl, .rcr, .shl, .shr, .sar, .shld, .shrd]),
    InstructionFamily(
      "Bits", "Bits", "BT, BTS, BTR, BTC, BSF, BSR, TZCNT, LZCNT, POPCNT",
      [.bt, .bts, .btr, .btc, .bsf, .bsr, .tzcnt, .lzcnt, .popcnt], features: [.popcnt, .bmi1, .abm],
      note: "TZCNT without bmi1 is BSF, LZCNT without abm is BSR"),
    InstructionFamily(
      "Flags", "Flags", "CLC, STC, CMC, CLD, STD, CLI, STI, CLAC, STAC",
      [.clc, .stc, .cmc, .cld, .std, .cli, .sti, .clac, .stac], features: .smap),
    InstructionFamily(
      "Bit manipulation", "BitManipulation",
      "ANDN, BEXTR, BLSI, BLSMSK, BLSR; BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX",
      [.andn, .bextr, .blsi, .blsmsk, .blsr, .bzhi, .mulx, .pdep, .pext, .rorx, .sarx, .shlx, .shrx],
      features: [.bmi1, .bmi2], note: "#UD in real and virtual-8086 mode"),
    InstructionFamily(
      "Integer extensions", "IntegerExtensions", "ADCX, ADOX, CRC32, MOVBE, MOVDIRI, RDRAND, RDSEED",
      [.adcx, .adox, .crc32, .movbe, .moveDirect, .readRandom, .readSeed],
      features: [.adx, .sse42, .movbe, .movdiri, .rdrand, .rdseed],
      note: "CRC32 goes with SSE4.2; random numbers follow from a seed"),
    InstructionFamily(
      "Decimal adjustment", "Decimal", "AAA, AAD, AAM, AAS, DAA, DAS", [.aaa, .aas, .aam, .aad, .daa, .das],
      note: "not in 64-bit code"),
    InstructionFamily(
      "Legacy", "Legacy", "BOUND, ARPL, SALC", [.bound, .adjustPrivilege, .setALFromCarry], note: "not in 64-bit code"),
    InstructionFamily(
      "Vector moves", "VectorMove",
      "MOVAPS, MOVUPS, MOVDQA, MOVDQU, LDDQU, MOVD, MOVQ, MOVSS, MOVSD, MOVHPS, MOVLPS, MOVNTx, MASKMOVDQU, MOVMSKx, "
        + "PMOVMSKB and their kin",
      [.vectorMove], features: [.sse, .sse2, .sse3, .sse41, .avx, .avx2]),
    InstructionFamily(
      "Vector shuffles", "VectorShuffle",
      "PSHUFx, SHUFPx, UNPCKx, PUNPCKx, PACKx, PALIGNR, BLENDx, PINSRx, PEXTRx, PMOVSXx, PMOVZXx, VPERMILPx",
      [.vectorShuffle], features: [.sse, .sse2, .ssse3, .sse41, .avx, .avx2]),
    InstructionFamily(
      "Vector integers", "VectorInteger",
      "PADDx, PSUBx, PMULx, PMADDx, PCMPx, PMINx, PMAXx, PAVGx, PSADBW, PAND, POR, "
        + "PXOR, PSLLx, PSRLx, PSRAx, PABSx, PSIGNx, PHADDx, PTEST, VTESTPx, VPSLLVx, VPSRLVx, VPSRAVD and their kin",
      [.vectorInteger], features: [.sse2, .ssse3, .sse41, .sse42, .avx, .avx2]),
    InstructionFamily(
      "Vector arithmetic", "VectorFloat",
      "ADDx, SUBx, MULx, DIVx, SQRTx, MINx, MAXx, CMPx, COMISx, UCOMISx, ADDSUBx, HADDx, ROUNDx, DPPx and their kin",
      [.vectorFloat], features: [.sse, .sse2, .sse3, .sse41, .avx], note: "rounding and exceptions by MXCSR"),
    InstructionFamily(
      "Fused multiplications", "VectorFused",
      "VFMADDx, VFMSUBx, VFNMADDx, VFNMSUBx, VFMADDSUBPx, VFMSUBADDPx", [.vectorFused], features: .fma),
    InstructionFamily(
      "Vector conversions", "VectorConvert", "CVTx, CVTTx, VCVTPH2PS, VCVTPS2PH", [.vectorConvert],
      features: [.sse, .sse2, .avx, .f16c]),
    InstructionFamily(
      "Vector permutations", "VectorPermute",
      "VBROADCASTx, VPBROADCASTx, VPERM2x128, VPERMx, VINSERTx128, VEXTRACTx128, VMASKMOVPx, VPMASKMOVx, VGATHERx, "
        + "VPGATHERx, VZEROALL, VZEROUPPER", [.vectorPermute], features: [.avx, .avx2]),
    InstructionFamily(
      "Ciphers and hashes", "VectorCipher",
      "AESENC, AESENCLAST, AESDEC, AESDECLAST, AESIMC, AESKEYGENASSIST, PCLMULQDQ, SHA1x, SHA256x", [.vectorCipher],
      features: [.aes, .pclmulqdq, .sha, .vaes, .vpclmulqdq]),
    InstructionFamily(
      "Vector strings", "VectorString", "PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM", [.vectorString],
      features: [.sse42, .avx]),
    InstructionFamily(
      "Extended state", "ExtendedState",
      "FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XSAVES, XRSTOR, XRSTORS, LDMXCSR, STMXCSR", [.extendedState],
      features: [.fxsr, .sse, .xsave, .xsaveopt, .xsavec, .xsaves]),
    InstructionFamily(
      "MMX", "MMX",
      "MOVD, MOVQ, EMMS, PADDx, PSUBx, PMULx, PMADDWD, PCMPx, PAND, POR, PXOR, PSLLx, PSRLx, PSRAx, PACKx, PUNPCKx; SSE's "
        + "PSHUFW, PINSRW, PEXTRW, PMOVMSKB, MASKMOVQ, MOVNTQ, PAVGx, PMINx, PMAXx, PSADBW, PMULHUW; CVTPI2PS and its "
        + "kin, MOVQ2DQ, MOVDQ2Q, PADDQ, PSUBQ, PMULUDQ; SSSE3's",
      [.mmxMove, .mmxShuffle, .mmxInteger, .mmxConvert], features: [.mmx, .mmxExtensions, .sse, .sse2, .ssse3],
      note: "MM registers"),
    InstructionFamily(
      "x87", "X87/X87",
      "FLD, FILD, FBLD, FLD1 and its kin, FST, FSTP, FIST, FISTP, FISTTP, FBSTP, FXCH, FCMOVcc, FADD, FSUB, FMUL, FDIV, "
        + "FSQRT, FABS, FCHS, FRNDINT, FSCALE, FXTRACT, FPREM, FPREM1, FCOM, FUCOM, FCOMI, FUCOMI, FTST, FXAM in all "
        + "their forms, F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN, FPATAN, FINCSTP, FDECSTP, FFREE, FFREEP, "
        + "FNOP, FNINIT, FNCLEX, FLDCW, FNSTCW, FNSTSW, FNSTENV, FLDENV, FNSAVE, FRSTOR, FWAIT",
      [.x87], features: .fpu,
      note: "80-bit arithmetic in integers, exact; transcendental functions correctly rounded but for rare borders, so "
        + "that the last bit may differ from a given processor's"),
    InstructionFamily(
      "Strings", "String", "MOVS, STOS, LODS, SCAS, CMPS, INS, OUTS, with REP, REPE, REPNE",
      [.movs, .stos, .lods, .scas, .cmps, .ins, .outs]),
    InstructionFamily(
      "Control", "Control",
      "JMP, Jcc, CALL, RET, LOOP, LOOPE, LOOPNE, JCXZ, JECXZ, JRCXZ, INT, INT1, INT3, INTO, UD0, "
        + "UD1, UD2, NOP",
      [
        .callRelative, .callIndirect, .jumpRelative, .jumpIndirect, .ret, .loop, .loope, .loopne, .jcxz, .interrupt,
        .breakpoint, .overflow, .debugTrap, .undefined,
      ], note: "with 66 in 64-bit code near branches follow the profile's vendor; INTO: not in 64-bit code"),
    InstructionFamily(
      "Far transfers", "FarTransfer", "far JMP, CALL, RET, through call gates too; IRET",
      [.callFar, .jumpFar, .retFar, .interruptReturn], note: "task switches and task gates in protected mode"),
    InstructionFamily(
      "System calls", "SystemCall",
      "SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE",
      [.sysCall, .sysReturn, .sysEnter, .sysExit, .swapGS, .readFSGSBase, .writeFSGSBase],
      features: [.syscall, .sep, .fsgsbase]),
    InstructionFamily(
      "Control registers", "../Processor/ControlRegisters", "MOV CRn, CLTS, LMSW, SMSW",
      [.movFromControl, .movToControl, .clearTaskSwitched, .loadMachineStatus, .storeMachineStatus], features: .umip),
    InstructionFamily(
      "Debug registers", "../Processor/DebugRegisters", "MOV DRn", [.movFromDebug, .movToDebug], features: .de),
    InstructionFamily(
      "Model-specific registers", "../Processor/MSRs", "RDMSR, WRMSR", [.readMSR, .writeMSR], features: .msr,
      note: "an unknown register raises #GP, and is counted"),
    InstructionFamily(
      "Descriptor tables", "DescriptorTables", "LGDT, LIDT, SGDT, SIDT, LLDT, SLDT, LTR, STR",
      [.loadGDT, .loadIDT, .storeGDT, .storeIDT, .loadLDT, .storeLDT, .loadTask, .storeTask], features: .umip),
    InstructionFamily(
      "Segments", "Segments",
      "MOV Sreg, LDS, LES, LSS, LFS, LGS, VERR, VERW, LAR, LSL",
      [
        .movToSegment, .movFromSegment, .loadFarPointer, .verifyRead, .verifyWrite, .loadAccessRights,
        .loadSegmentLimit,
      ]),
    InstructionFamily(
      "Invalidation and caches", "Invalidation",
      "INVLPG, INVPCID, INVD, WBINVD, WBNOINVD, CLFLUSH, CLFLUSHOPT, CLWB, LFENCE, SFENCE, MFENCE, PAUSE; as hints "
        + "PREFETCHh, PREFETCHW, CLDEMOTE",
      [.invalidatePage, .invalidatePCID, .writeBackCaches, .cacheLineFlush, .fence, .pause],
      features: [.invpcid, .clflush, .clflushopt, .clwb, .wbnoinvd, .prefetchW]),
    InstructionFamily(
      "System", "System", "HLT, CPUID, RDTSC, RDTSCP, RDPID, RDPMC, SERIALIZE, XGETBV, XSETBV, RDPKRU, WRPKRU",
      [
        .halt, .cpuid, .readTimeStamp, .readTimeStampAux, .readPID, .readCounter, .serialize,
        .getXCR, .setXCR, .readKeys, .writeKeys, .monitor, .mwait,
      ], features: [.tsc, .rdtscp, .rdpid, .serialize, .xgetbv1, .pku], note: "MONITOR and MWAIT: #UD, as CPUID says"),
    InstructionFamily("Ports", "Ports", "IN, OUT", [.in, .out]),
  ]
}
