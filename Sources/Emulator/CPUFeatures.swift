import Machine

/// CPU features by the names that Linux gives them in /proc/cpuinfo.
public enum CPUFeatures {
  /// Every name that a profile may list, sorted. Those that `FeatureSet` lacks stay hidden from the guest.
  public static let known = """
    3dnowprefetch abm adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt clwb clzero cmov cmp_legacy constant_tsc \
    cpuid cx16 cx8 de erms f16c fdp_excptn_only fma fpu fsgsbase fsrm fxsr fxsr_opt ht hypervisor invpcid la57 lahf_lm lm mca mce \
    misalignsse mmx mmxext monitor movbe movdir64b movdiri msr mtrr nonstop_tsc nopl nx ospke osxsave pae pat pcid \
    pclmulqdq pdcm pdpe1gb pge pku pks pni popcnt pse pse36 rdpid rdpru rdrand rdseed rdtscp rep_good sep serialize \
    sha_ni smap smep ss sse sse2 sse4_1 sse4_2 sse4a ssse3 syscall tsc tsc_adjust tsc_deadline_timer umip vaes vme \
    vpclmulqdq wbnoinvd x2apic xgetbv1 xsave xsavec xsaveerptr xsaveopt xsaves zero_fcs_fds
    """.split(separator: " ").map(String.init).sorted()

  /// What stands in a profile for all that Penumbra implements.
  static let everything = "all"

  private static let index = Set(known)

  /// Whether a name is one of them.
  public static func isKnown(_ name: String) -> Bool { index.contains(name) }

  /// One change of a profile's features.
  public struct Edit: Equatable, Sendable {
    public var name: String
    /// Whether the feature is added; otherwise it is removed.
    public var adds: Bool
  }

  /// Reads `+pcid,-smap`; an empty text changes nothing.
  /// - Throws: `SetupError` of kind `usage` for an unknown name, a part that neither adds nor removes, or a feature
  ///   that is added but not implemented.
  public static func edits(_ text: String) throws(SetupError) -> [Edit] {
    var edits: [Edit] = []
    guard !text.isEmpty else { return edits }
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let name = String(part.dropFirst())
      guard part.hasPrefix("+") || part.hasPrefix("-") else {
        throw .usage("cpu-features: \(printable(String(part))) must begin with + or -")
      }
      guard isKnown(name) else {
        throw .usage("cpu-features: no such feature \(printable(name))\(suggestion(name, known))")
      }
      guard part.hasPrefix("-") || FeatureSet.known.contains(where: { $0.name == name }) else {
        throw .usage("cpu-features: \(name) is not supported")
      }
      edits.append(Edit(name: name, adds: part.hasPrefix("+")))
    }
    return edits
  }

  /// A list with the edits applied, in order; what is added stands last.
  public static func apply(_ edits: [Edit], to features: [String]) -> [String] {
    var result = features
    for edit in edits {
      if !edit.adds {
        result.removeAll { $0 == edit.name }
      } else if !result.contains(edit.name) {
        result.append(edit.name)
      }
    }
    return result
  }
}
