import Hypervisor
import Machine

/// Whether TLBs may hold what the guest's tables no longer say.
public enum TLBCoherence: String, CaseIterable, Sendable {
  /// As silicon has them: an entry lives until it is invalidated or replaced.
  case real
  /// Every hit is checked against the tables, so that a guest which forgets an invalidation behaves alike under every
  /// kind of paging.
  case coherent
}

/// Everything that decides what a run does, beside the guest and its input: the same configuration, guest and input
/// give the same result on any machine. `ConfigurationKey` has the table of its keys.
public struct Configuration: Equatable, Sendable {
  /// The least and the greatest guest memory, in bytes.
  public static let memoryLimits: ClosedRange<UInt64> = 1 << 20...64 << 30

  /// The kinds of paging to run under, one or more; verbs that run a guest once want exactly one.
  public var pagings: [PagingKind]

  /// The profile as it was chosen, before `profileChanges`.
  public var chosenProfile: CostProfile
  /// How the user named that profile: a built-in name, or a file.
  public var profileName: String
  /// Figures set one by one; the last word whatever profile is chosen.
  public var profileChanges: [CostKey: UInt64] = [:]
  /// Whose processor the guest sees, where that is not the profile's own word.
  public var vendorChange: Vendor?
  /// Changes of the profile's CPU features, in order.
  public var featureEdits: [CPUFeatures.Edit] = []

  /// Guest memory in bytes, a multiple of 4096.
  public var memory: UInt64 = 128 << 20
  /// Processors, 1 to 64.
  public var cpus = 1
  /// How far one of several processors may run ahead of the others, in ticks of the guest's clock.
  public var quantum: UInt64 = 1000
  /// The page size by which the hypervisor maps guest memory.
  public var hostPage = PageSize.page4K
  /// The guest's command line.
  public var append = ""
  /// The initial RAM disk.
  public var initrd: InputFile?
  /// What the guest's TSC and timers count.
  public var clock = ClockSource.cycles
  /// Under the clock of instructions: ticks of the guest's TSC and timers that an instruction takes, 1 to 1000.
  public var clockTicks: UInt64 = 1
  /// Stop after so many instructions; nil: never.
  public var maxInstructions: UInt64?
  /// Stop after so many cycles; nil: never.
  public var maxCycles: UInt64?

  /// `cache.data`.
  public var dataCaches = DataCacheModel.off
  /// `tlb`.
  public var tlb = TLBCoherence.real
  /// The greatest number of instructions that a block of decoded code holds, 1 to 64. It changes speed and nothing
  /// else.
  public var blockLength = 64
  /// Instructions between automatic snapshots, each of which the run goes back to at once; 0: none. Results must be the
  /// same with and without: that is what it is for.
  public var snapshotEvery: UInt64 = 0
  /// Whether everything that a hypervisor and its hardware keep is checked after every exit. It changes speed and nothing
  /// else, and is no key: no result depends on it.
  public var checksInvariants = false
  /// Shadow paging: how many roots are kept for address spaces that the guest may come back to, 1 to 64.
  public var shadowRoots = 4
  /// Shadow paging: whether an entry is filled as soon as the guest makes it present.
  public var shadowEager = true
  /// Shadow paging: how many entries around a fault are filled with it, a power of two up to 512; 1: none.
  public var shadowFillAround = 1
  /// Shadow paging: the most shadow pages; nil: 20 per mille of the guest's frames, at least 64, as in KVM.
  public var shadowPool: Int?
  /// Shadow paging: whether the shadow pages of a frame go that is written like data.
  public var shadowZapReused = true
  /// Shadow paging: the most pages out of step, for each processor, under `shadow:unsync`; nil: any number.
  public var shadowOutOfSync: Int?
  /// Agile paging: when tables go from shadow to nested paging and back.
  public var agile = AgileOptions()
  /// Nested paging: whether the hardware keeps A and D in nested tables; nil: where it can.
  public var nestedAccessedDirty: Bool?
  /// Nested and agile paging: levels of the nested tables, 4 or 5, the latter where the processor has them.
  public var nestedLevels = 4
  /// Nested paging: how pages are logged that the guest writes.
  public var dirtyLog = DirtyLogOptions()
  /// Cycles between two frames of the guest's that the host unmaps, moves or write-protects; nil: it leaves them alone.
  public var hostChurn: UInt64?
  /// What the real-time clock says when the machine starts.
  public var rtcStart = StartDate.standard

  /// The defaults of INTERFACE: nested paging under the default profile.
  ///
  /// - Throws: `SetupError` if the built-in profile is broken, which a test excludes.
  public init(pagings: [PagingKind] = [.nested]) throws(SetupError) {
    self.pagings = pagings
    profileName = ProfileLibrary.defaultName
    chosenProfile = try ProfileLibrary.profile(profileName)
  }

  /// The kind of paging of a run that has one.
  public var paging: PagingKind {
    get { pagings[0] }
    set { pagings = [newValue] }
  }

  /// The profile in effect.
  public var profile: CostProfile {
    var profile = chosenProfile
    if let vendorChange { profile.vendor = vendorChange }
    guard !profileChanges.isEmpty else { return profile }
    for key in CostKey.allCases { if let value = profileChanges[key] { profile[key] = value } }
    return profile
  }

  /// The CPU features in effect, by Linux's names.
  public var features: [String] { CPUFeatures.apply(featureEdits, to: chosenProfile.features) }

  /// This configuration once for each of its kinds of paging.
  public var eachPaging: [Configuration] {
    pagings.map { kind in
      var one = self
      one.pagings = [kind]
      return one
    }
  }

  /// What no single key can tell: figures that do not go together, a kind of paging that a profile cannot do.
  /// - Throws: `SetupError` of kind `usage`.
  public func check() throws(SetupError) {
    if let problem = ProfileValidation.firstProblem(profile) {
      throw .usage("profile.\(problem.key.rawValue): \(problem.why)")
    }
    if hostPage == .page1G && memory < PageSize.page1G.bytes {
      throw .usage("host-page: 1G pages need a memory of 1G or more, not \(NumberParsing.describe(bytes: memory))")
    }
    if let shadowPool, shadowPool < 32 * cpus {
      throw .usage("shadow.pool: \(shadowPool) pages are too few for \(cpus) processors, which need 32 each")
    }
    if clockTicks != 1 && clock != .instructions {
      throw .usage("clock.ticks: an instruction takes \(clockTicks) ticks of --clock instructions, not of cycles")
    }
    try checkNested()
    let reach = UInt64(1) << profile[.physicalBits]
    // Memory above 3 GiB is moved above 4 GiB, which leaves room for devices.
    guard memory + (1 << 30) <= reach else {
      throw .usage(
        "memory: \(NumberParsing.describe(bytes: memory)) are more than "
          + "\(profile[.physicalBits]) physical address bits reach")
    }
  }
  /// What nested tables cannot do on the profile's processor, and the other kinds of paging not at all. A bare machine has
  /// nobody who would log anything, and runs beside the others.
  private func checkNested() throws(SetupError) {
    let (profile, method) = (profile, dirtyLog.method)
    let canKeep = profile[.nestedAccessedDirty] != 0
    if nestedAccessedDirty == true && !canKeep {
      throw .usage("nested.accessed-dirty: the profile's processor keeps no A and D in nested tables")
    }
    if nestedLevels == 5 && !features.contains("la57") {
      throw .usage("nested.levels: the processor has no five levels of tables (cpu-features: +la57)")
    }
    if nestedAccessedDirty == false && profile.vendor == .amd {
      throw .usage("nested.accessed-dirty: AMD's processors always keep A and D in nested tables")
    }
    guard method != .off else { return }
    if let kind = pagings.first(where: { $0 != .native && $0 != .nested }) {
      throw .usage("dirty.log: \(kind.name) keeps no log of what the guest writes; nested does")
    }
    if method == .modificationLog && profile.vendor != .intel {
      throw .usage("dirty.log: pml is Intel's; AMD's processors have accessed-dirty and write-protect")
    }
    if (method == .accessedDirty || method == .modificationLog) && !(nestedAccessedDirty ?? canKeep) {
      throw .usage("dirty.log: \(method.rawValue) needs A and D in nested tables; write-protect does not")
    }
  }
}
