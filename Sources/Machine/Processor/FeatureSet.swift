/// The CPU features that the guest sees, by the names that Linux gives them.
///
/// A feature stands here once Penumbra implements all of it; names of others in a profile are accepted and not shown.
@frozen public struct FeatureSet: OptionSet, Sendable {
  public let rawValue: UInt128
  @inlinable public init(rawValue: UInt128) { self.rawValue = rawValue }

  public static let de = FeatureSet(rawValue: 1 << 0)
  public static let pse = FeatureSet(rawValue: 1 << 1)
  public static let tsc = FeatureSet(rawValue: 1 << 2)
  public static let msr = FeatureSet(rawValue: 1 << 3)
  public static let pae = FeatureSet(rawValue: 1 << 4)
  public static let cx8 = FeatureSet(rawValue: 1 << 5)
  public static let sep = FeatureSet(rawValue: 1 << 6)
  public static let pge = FeatureSet(rawValue: 1 << 7)
  public static let cmov = FeatureSet(rawValue: 1 << 8)
  public static let pat = FeatureSet(rawValue: 1 << 9)
  public static let clflush = FeatureSet(rawValue: 1 << 10)
  public static let cx16 = FeatureSet(rawValue: 1 << 11)
  public static let pcid = FeatureSet(rawValue: 1 << 12)
  public static let popcnt = FeatureSet(rawValue: 1 << 13)
  public static let fsgsbase = FeatureSet(rawValue: 1 << 14)
  public static let tscAdjust = FeatureSet(rawValue: 1 << 15)
  public static let bmi1 = FeatureSet(rawValue: 1 << 16)
  public static let smep = FeatureSet(rawValue: 1 << 17)
  public static let erms = FeatureSet(rawValue: 1 << 18)
  public static let invpcid = FeatureSet(rawValue: 1 << 19)
  public static let smap = FeatureSet(rawValue: 1 << 20)
  public static let clflushopt = FeatureSet(rawValue: 1 << 21)
  public static let clwb = FeatureSet(rawValue: 1 << 22)
  public static let umip = FeatureSet(rawValue: 1 << 23)
  public static let la57 = FeatureSet(rawValue: 1 << 24)
  public static let rdpid = FeatureSet(rawValue: 1 << 25)
  public static let syscall = FeatureSet(rawValue: 1 << 26)
  public static let nx = FeatureSet(rawValue: 1 << 27)
  public static let pdpe1gb = FeatureSet(rawValue: 1 << 28)
  public static let rdtscp = FeatureSet(rawValue: 1 << 29)
  public static let lm = FeatureSet(rawValue: 1 << 30)
  public static let lahfLM = FeatureSet(rawValue: 1 << 31)
  /// LZCNT, which AMD's "advanced bit manipulation" brought.
  public static let abm = FeatureSet(rawValue: 1 << 32)
  public static let prefetchW = FeatureSet(rawValue: 1 << 33)
  public static let nonstopTSC = FeatureSet(rawValue: 1 << 34)
  public static let wbnoinvd = FeatureSet(rawValue: 1 << 35)

  // MARK: The x87 and MMX
  public static let fpu = FeatureSet(rawValue: 1 << 80)
  public static let mmx = FeatureSet(rawValue: 1 << 81)
  /// AMD's extensions of MMX, which came to Intel's processors with SSE.
  public static let mmxExtensions = FeatureSet(rawValue: 1 << 82)
  /// The pointer to the last memory operand is updated by unmasked exceptions alone.
  public static let dataPointerOnException = FeatureSet(rawValue: 1 << 83)
  /// The selectors of the pointers to the last instruction and its operand are zero.
  public static let zeroSelectors = FeatureSet(rawValue: 1 << 84)
  /// FXSAVE and XSAVE of an AMD processor always write those pointers, as zeros where no exception is pending.
  public static let alwaysSavesPointers = FeatureSet(rawValue: 1 << 85)

  // MARK: Integer instructions, from the top downward
  public static let bmi2 = FeatureSet(rawValue: 1 << 63)
  public static let adx = FeatureSet(rawValue: 1 << 62)
  public static let movbe = FeatureSet(rawValue: 1 << 61)
  public static let rdrand = FeatureSet(rawValue: 1 << 60)
  public static let rdseed = FeatureSet(rawValue: 1 << 59)
  public static let serialize = FeatureSet(rawValue: 1 << 58)
  public static let movdiri = FeatureSet(rawValue: 1 << 57)

  // MARK: Paging, 64 to 71
  public static let pku = FeatureSet(rawValue: 1 << 64)
  public static let pks = FeatureSet(rawValue: 1 << 65)
  public static let pse36 = FeatureSet(rawValue: 1 << 66)

  // Of the vector unit
  public static let fxsr = FeatureSet(rawValue: 1 << 48)
  public static let xsave = FeatureSet(rawValue: 1 << 49)
  public static let sse = FeatureSet(rawValue: 1 << 50)
  public static let sse2 = FeatureSet(rawValue: 1 << 51)
  public static let sse3 = FeatureSet(rawValue: 1 << 52)
  public static let ssse3 = FeatureSet(rawValue: 1 << 53)
  public static let sse41 = FeatureSet(rawValue: 1 << 54)
  public static let sse42 = FeatureSet(rawValue: 1 << 55)

  public static let avx = FeatureSet(rawValue: 1 << 88)
  public static let avx2 = FeatureSet(rawValue: 1 << 89)
  public static let fma = FeatureSet(rawValue: 1 << 90)
  public static let f16c = FeatureSet(rawValue: 1 << 91)
  public static let aes = FeatureSet(rawValue: 1 << 92)
  public static let pclmulqdq = FeatureSet(rawValue: 1 << 93)
  public static let sha = FeatureSet(rawValue: 1 << 94)
  public static let vaes = FeatureSet(rawValue: 1 << 95)
  public static let vpclmulqdq = FeatureSet(rawValue: 1 << 96)
  public static let xsaveopt = FeatureSet(rawValue: 1 << 97)
  public static let xsavec = FeatureSet(rawValue: 1 << 98)
  public static let xgetbv1 = FeatureSet(rawValue: 1 << 99)
  public static let xsaves = FeatureSet(rawValue: 1 << 100)

  // Of the local APIC.
  public static let apic = FeatureSet(rawValue: 1 << 72)
  public static let x2apic = FeatureSet(rawValue: 1 << 73)
  public static let tscDeadlineTimer = FeatureSet(rawValue: 1 << 74)

  // Registers that are kept and checked, from bit 112.
  public static let mtrr = FeatureSet(rawValue: 1 << 112)
  public static let mce = FeatureSet(rawValue: 1 << 113)
  public static let mca = FeatureSet(rawValue: 1 << 114)

  // What instructions ask.
  var bmi1: Bool { contains(.bmi1) }
  var lzcnt: Bool { contains(.abm) }
  var popcnt: Bool { contains(.popcnt) }
  var smap: Bool { contains(.smap) }

  /// One feature: what a list of features says of it, and where CPUID shows it.
  public struct Row: Sendable {
    public let name: String
    public let summary: String
    public let feature: FeatureSet
    let leaf: UInt32
    let subleaf: UInt32
    let register: Register
    let bit: UInt32

    init(
      _ name: String, _ feature: FeatureSet, _ leaf: UInt32, _ register: Register, _ bit: UInt32, _ summary: String,
      subleaf: UInt32 = 0
    ) {
      self.name = name
      self.summary = summary
      self.feature = feature
      self.leaf = leaf
      self.subleaf = subleaf
      self.register = register
      self.bit = bit
    }
  }

  /// The registers in which CPUID has feature bits.
  enum Register: Sendable { case eax, ebx, ecx, edx }

  /// Every feature that can be shown, in CPUID's order (SDM vol. 2, CPUID; APM vol. 3, appendix E).
  public static let known: [Row] = [
    Row("fpu", .fpu, 1, .edx, 0, "x87"),
    Row("de", .de, 1, .edx, 2, "debugging extensions: DR4 and DR5 raise #UD"),
    Row("pse", .pse, 1, .edx, 3, "pages of 4 MiB"),
    Row("tsc", .tsc, 1, .edx, 4, "RDTSC"),
    Row("msr", .msr, 1, .edx, 5, "RDMSR and WRMSR"),
    Row("pae", .pae, 1, .edx, 6, "physical addresses beyond 32 bits"),
    Row("mce", .mce, 1, .edx, 7, "machine-check exception, which nothing raises"),
    Row("cx8", .cx8, 1, .edx, 8, "CMPXCHG8B"),
    Row("apic", .apic, 1, .edx, 9, "local APIC"),
    Row("sep", .sep, 1, .edx, 11, "SYSENTER and SYSEXIT"),
    Row("mtrr", .mtrr, 1, .edx, 12, "memory-type range registers"),
    Row("pge", .pge, 1, .edx, 13, "global pages"),
    Row("mca", .mca, 1, .edx, 14, "machine-check registers"),
    Row("cmov", .cmov, 1, .edx, 15, "CMOVcc"),
    Row("pat", .pat, 1, .edx, 16, "page attribute table"),
    Row("pse36", .pse36, 1, .edx, 17, "pages of 4 MiB beyond 4 GiB of physical memory"),
    Row("clflush", .clflush, 1, .edx, 19, "CLFLUSH"),
    Row("mmx", .mmx, 1, .edx, 23, "MMX"),
    Row("fxsr", .fxsr, 1, .edx, 24, "FXSAVE and FXRSTOR"),
    Row("sse", .sse, 1, .edx, 25, "SSE"),
    Row("sse2", .sse2, 1, .edx, 26, "SSE2"),
    Row("pni", .sse3, 1, .ecx, 0, "SSE3"),
    Row("pclmulqdq", .pclmulqdq, 1, .ecx, 1, "PCLMULQDQ"),
    Row("ssse3", .ssse3, 1, .ecx, 9, "SSSE3"),
    Row("fma", .fma, 1, .ecx, 12, "fused multiplications and additions"),
    Row("sse4_1", .sse41, 1, .ecx, 19, "SSE4.1"),
    Row("sse4_2", .sse42, 1, .ecx, 20, "SSE4.2"),
    Row("aes", .aes, 1, .ecx, 25, "AES"),
    Row("xsave", .xsave, 1, .ecx, 26, "XSAVE, XRSTOR, XGETBV and XSETBV"),
    Row("avx", .avx, 1, .ecx, 28, "AVX"),
    Row("f16c", .f16c, 1, .ecx, 29, "conversions of half precision"),
    Row("cx16", .cx16, 1, .ecx, 13, "CMPXCHG16B"),
    Row("pcid", .pcid, 1, .ecx, 17, "process-context identifiers"),
    Row("x2apic", .x2apic, 1, .ecx, 21, "the local APIC's registers as model-specific registers"),
    Row("movbe", .movbe, 1, .ecx, 22, "MOVBE"),
    Row("popcnt", .popcnt, 1, .ecx, 23, "POPCNT"),
    Row("tsc_deadline_timer", .tscDeadlineTimer, 1, .ecx, 24, "local APIC timer by a time stamp: IA32_TSC_DEADLINE"),
    Row("rdrand", .rdrand, 1, .ecx, 30, "RDRAND"),
    Row("fsgsbase", .fsgsbase, 7, .ebx, 0, "RDFSBASE and its kin"),
    Row("tsc_adjust", .tscAdjust, 7, .ebx, 1, "IA32_TSC_ADJUST"),
    Row("bmi1", .bmi1, 7, .ebx, 3, "ANDN, BEXTR, BLSI, BLSMSK, BLSR, TZCNT"),
    Row("avx2", .avx2, 7, .ebx, 5, "AVX2"),
    Row("smep", .smep, 7, .ebx, 7, "no supervisor fetches from user pages"),
    Row(
      "fdp_excptn_only", .dataPointerOnException, 7, .ebx, 6,
      "the x87's data pointer is updated by unmasked exceptions alone"),
    Row("bmi2", .bmi2, 7, .ebx, 8, "BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX"),
    Row("erms", .erms, 7, .ebx, 9, "fast REP MOVSB and STOSB"),
    Row("invpcid", .invpcid, 7, .ebx, 10, "INVPCID"),
    Row("zero_fcs_fds", .zeroSelectors, 7, .ebx, 13, "the x87's code and data selectors are saved as zero"),
    Row("rdseed", .rdseed, 7, .ebx, 18, "RDSEED"),
    Row("adx", .adx, 7, .ebx, 19, "ADCX and ADOX"),
    Row("smap", .smap, 7, .ebx, 20, "no supervisor data accesses to user pages"),
    Row("clflushopt", .clflushopt, 7, .ebx, 23, "CLFLUSHOPT"),
    Row("clwb", .clwb, 7, .ebx, 24, "CLWB"),
    Row("sha_ni", .sha, 7, .ebx, 29, "SHA-1 and SHA-256"),
    Row("umip", .umip, 7, .ecx, 2, "no SGDT, SIDT, SLDT, SMSW, STR outside ring 0"),
    Row("pku", .pku, 7, .ecx, 3, "protection keys of user pages"),
    Row("vaes", .vaes, 7, .ecx, 9, "AES of 256 bits"),
    Row("vpclmulqdq", .vpclmulqdq, 7, .ecx, 10, "PCLMULQDQ of 256 bits"),
    Row("la57", .la57, 7, .ecx, 16, "five-level paging"),
    Row("rdpid", .rdpid, 7, .ecx, 22, "RDPID"),
    Row("movdiri", .movdiri, 7, .ecx, 27, "MOVDIRI"),
    Row("pks", .pks, 7, .ecx, 31, "protection keys of supervisor pages"),
    Row("serialize", .serialize, 7, .edx, 14, "SERIALIZE"),
    Row("xsaveopt", .xsaveopt, 0xd, .eax, 0, "XSAVEOPT", subleaf: 1),
    Row("xsavec", .xsavec, 0xd, .eax, 1, "XSAVEC and the compacted format", subleaf: 1),
    Row("xgetbv1", .xgetbv1, 0xd, .eax, 2, "XGETBV of what is in use", subleaf: 1),
    Row("xsaves", .xsaves, 0xd, .eax, 3, "XSAVES, XRSTORS and IA32_XSS", subleaf: 1),
    Row("lahf_lm", .lahfLM, 0x8000_0001, .ecx, 0, "LAHF and SAHF in 64-bit mode"),
    Row("abm", .abm, 0x8000_0001, .ecx, 5, "LZCNT"),
    Row("3dnowprefetch", .prefetchW, 0x8000_0001, .ecx, 8, "PREFETCHW"),
    Row("syscall", .syscall, 0x8000_0001, .edx, 11, "SYSCALL and SYSRET"),
    Row("nx", .nx, 0x8000_0001, .edx, 20, "no-execute pages"),
    Row("mmxext", .mmxExtensions, 0x8000_0001, .edx, 22, "AMD's extensions of MMX"),
    Row("pdpe1gb", .pdpe1gb, 0x8000_0001, .edx, 26, "1 GiB pages"),
    Row("rdtscp", .rdtscp, 0x8000_0001, .edx, 27, "RDTSCP and TSC_AUX"),
    Row("lm", .lm, 0x8000_0001, .edx, 29, "long mode"),
    Row("nonstop_tsc", .nonstopTSC, 0x8000_0007, .edx, 8, "the TSC counts at one rate in every state"),
    Row(
      "xsaveerptr", .alwaysSavesPointers, 0x8000_0008, .ebx, 2,
      "FXSAVE and XSAVE always save the pointers to the last x87 instruction"),
    Row("wbnoinvd", .wbnoinvd, 0x8000_0008, .ebx, 9, "WBNOINVD"),
  ]

  /// The features of a list that Penumbra implements.
  public init(names: [String]) {
    self = FeatureSet.known.reduce(into: []) { set, row in
      if names.contains(row.name) { set.formUnion(row.feature) }
    }
  }

  /// Names of a list that stay hidden because Penumbra does not implement them.
  public static func hidden(in names: [String]) -> [String] {
    names.filter { name in !known.contains { $0.name == name } }
  }

  /// The feature bits of one register of a CPUID leaf.
  func bits(leaf: UInt32, subleaf: UInt32 = 0, _ register: Register) -> UInt32 {
    FeatureSet.known.reduce(0) { bits, row in
      let isThere = row.leaf == leaf && row.subleaf == subleaf && row.register == register
      return isThere && contains(row.feature) ? bits | 1 << row.bit : bits
    }
  }
}
