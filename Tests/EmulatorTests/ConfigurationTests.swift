import Foundation
import Machine
import Testing

@testable import Emulator

@Suite struct ConfigurationTests {
  @Test("the defaults are those that the documentation promises")
  func defaults() throws {
    let configuration = try Configuration()
    let effective = ConfigurationKey.effective(configuration)
    #expect(effective["paging"] == .text("nested"))
    #expect(effective["profile"] == .text("skylake"))
    #expect(effective["memory"] == .number(128 << 20))
    #expect(effective["cpus"] == .number(1))
    #expect(effective["host-page"] == .text("4K"))
    #expect(effective["clock"] == .text("cycles"))
    #expect(effective["clock.ticks"] == .number(1))
    #expect(effective["max-instructions"] == ConfigurationValue.none)
    #expect(effective["cache.data"] == .text("off"))
    #expect(effective["tlb"] == .text("real"))
    #expect(effective["block.length"] == .number(64))
    #expect(effective["shadow.roots"] == .number(4))
    #expect(effective["shadow.eager"] == .flag(true))
    #expect(effective["shadow.fill-around"] == .number(1))
    #expect(effective["shadow.pool"] == ConfigurationValue.none)
    #expect(effective["shadow.zap-reused"] == .flag(true))
    #expect(effective["shadow.out-of-sync"] == ConfigurationValue.none)
    #expect(effective["profile.tlb.l2.entries"] == .number(1536))
    try configuration.check()
  }

  /// One assignment a key, and the value that it makes.
  static let accepted: [(assignment: String, key: String, value: ConfigurationValue)] = [
    ("paging=native", "paging", .text("native")),
    ("paging=shadow:trace", "paging", .text("shadow:trace")),
    ("paging=native,nested", "paging", .text("native,nested")), ("paging=agile", "paging", .text("agile")),
    ("agile.interval=5000", "agile.interval", .number(5000)), ("agile.patience=0", "agile.patience", .number(0)),
    ("agile.start-nested=false", "agile.start-nested", .flag(false)), ("host.churn=5000", "host.churn", .number(5000)),
    ("paging=shadow", "paging", .text("shadow:unsync")),
    ("paging=all", "paging", .text(kinds.replacing(", ", with: ","))),
    ("profile=zen4", "profile", .text("zen4")),
    ("memory=64M", "memory", .number(64 << 20)),
    ("memory=1GiB", "memory", .number(1 << 30)),
    ("memory=0x200000", "memory", .number(2 << 20)),
    ("cpus=16", "cpus", .number(16)),
    ("smp.quantum=500", "smp.quantum", .number(500)),
    ("host-page=2M", "host-page", .text("2M")),
    ("append=a=b c", "append", .text("a=b c")),
    ("append=", "append", .text("")),
    ("initrd=", "initrd", ConfigurationValue.none),
    ("clock=instructions", "clock", .text("instructions")), ("clock.ticks=1000", "clock.ticks", .number(1000)),
    ("max-instructions=1_000", "max-instructions", .number(1000)),
    ("max-cycles=none", "max-cycles", ConfigurationValue.none),
    ("cpu-features=-smap,+la57", "cpu-features", .text("-smap,+la57")),
    ("cpu.vendor=amd", "cpu.vendor", .text("amd")),
    ("cache.data=l2l3", "cache.data", .text("l2l3")),
    ("tlb=coherent", "tlb", .text("coherent")),
    ("block.length=1", "block.length", .number(1)),
    ("snapshot.every=1000000", "snapshot.every", .number(1_000_000)),
    ("shadow.roots=64", "shadow.roots", .number(64)),
    ("shadow.eager=false", "shadow.eager", .flag(false)),
    ("shadow.fill-around=8", "shadow.fill-around", .number(8)),
    ("shadow.pool=64", "shadow.pool", .number(64)),
    ("shadow.pool=none", "shadow.pool", ConfigurationValue.none),
    ("shadow.zap-reused=false", "shadow.zap-reused", .flag(false)),
    ("shadow.out-of-sync=3", "shadow.out-of-sync", .number(3)),
    ("nested.accessed-dirty=false", "nested.accessed-dirty", .flag(false)),
    ("nested.accessed-dirty=none", "nested.accessed-dirty", ConfigurationValue.none),
    ("nested.levels=5", "nested.levels", .number(5)),
    ("dirty.log=pml", "dirty.log", .text("pml")), ("dirty.log=write-protect", "dirty.log", .text("write-protect")),
    ("dirty.interval=5000", "dirty.interval", .number(5000)),
    ("rtc.start=2030-12-31", "rtc.start", .text("2030-12-31T00:00:00Z")),
    ("rtc.start=2024-02-29T23:59:58Z", "rtc.start", .text("2024-02-29T23:59:58Z")),
    ("profile.switch.cr3=186", "profile.switch.cr3", .number(186)),
    ("profile.cache.l1.bytes=64K", "profile.cache.l1.bytes", .number(65536)),
  ]

  @Test("a key is set by its name", arguments: accepted)
  func accepts(assignment: String, key: String, value: ConfigurationValue) throws {
    var configuration = try Configuration()
    try ConfigurationKey.apply(assignment, to: &configuration)
    #expect(ConfigurationKey.effective(configuration)[key] == value)
  }

  @Test("every key that is no figure is set by some test")
  func everyKeyIsTested() {
    let tested = Set(Self.accepted.map(\.key))
    for key in ConfigurationKey.options { #expect(tested.contains(key.name), "\(key.name)") }
  }

  /// A wrong assignment, and the line that says so.
  /// The kinds of paging as messages list them.
  static let kinds = "native, shadow:trace, shadow:unsync, shadow:vtlb, nested, agile"

  static let refused: [(assignment: String, error: String)] = [
    ("memory", "set: memory is not of the form KEY=VALUE"),
    ("", "set:  is not of the form KEY=VALUE"),
    ("=3", ": no such key"),
    ("memry=64M", "memry: no such key; did you mean memory?"),
    ("profile.tlb.l2.hitt=1", "profile.tlb.l2.hitt: no such key; did you mean profile.tlb.l2.hit?"),
    ("paging=", "paging: a name is missing; there are \(kinds)"),
    ("paging=shadow:xen", "paging: shadow:xen does not exist; there are \(kinds)"),
    ("paging=shadow,shadow:unsync", "paging: shadow:unsync is given twice"),
    ("paging=native,", "paging: a name is missing; there are \(kinds)"),
    ("paging=native,native", "paging: native is given twice"),
    ("paging=Native", "paging: Native does not exist; there are \(kinds)"),
    ("memory=0", "memory: 0 is not between 1M and 64G"),
    ("memory=512K", "memory: 512K is not between 1M and 64G"),
    ("memory=65G", "memory: 65G is not between 1M and 64G"),
    ("memory=1048577", "memory: 1048577 bytes are not a multiple of 4K"),
    ("memory=-1M", "memory: -1M is not a size like 64M or 1G"),
    ("memory=1.5G", "memory: 1.5G is not a size like 64M or 1G"),
    ("memory=64Q", "memory: 64Q is not a size like 64M or 1G"),
    ("memory=M", "memory: M is not a size like 64M or 1G"),
    ("memory=99999999999999999999G", "memory: 99999999999999999999G is not a size like 64M or 1G"),
    ("memory=18014398509481984K", "memory: 18014398509481984K is not a size like 64M or 1G"),
    ("cpus=65", "cpus: 65 is not between 1 and 64"),
    ("cpus=0", "cpus: 0 is not between 1 and 64"),
    ("smp.quantum=0", "smp.quantum: 0 is not between 1 and 4294967295"),
    ("cpus=one", "cpus: one is not a whole number"),
    ("host-page=8K", "host-page: 8K is none of 4K, 2M, 1G"),
    ("clock=host", "clock: host is none of cycles, instructions"),
    ("clock.ticks=0", "clock.ticks: 0 is not between 1 and 1000"),
    ("clock.ticks=1001", "clock.ticks: 1001 is not between 1 and 1000"),
    ("max-instructions=-1", "max-instructions: -1 is not a whole number"),
    ("max-cycles=1e9", "max-cycles: 1e9 is not a whole number"),
    ("max-cycles=0", "max-cycles: 0 is no limit that a run can reach; none means no limit"),
    ("max-instructions=0", "max-instructions: 0 is no limit that a run can reach; none means no limit"),
    ("cpu-features=pcid", "cpu-features: pcid must begin with + or -"),
    ("cpu-features=+pcdi", "cpu-features: no such feature pcdi; did you mean pcid?"),
    ("cpu-features=+pcid,", "cpu-features:  must begin with + or -"),
    ("cpu-features=+sse4a", "cpu-features: sse4a is not supported"),
    ("cache.data=on", "cache.data: on is none of off, l2l3, full"),
    ("tlb=fake", "tlb: fake is none of real, coherent"),
    ("block.length=0", "block.length: 0 is not between 1 and 64"),
    ("block.length=65", "block.length: 65 is not between 1 and 64"),
    ("shadow.roots=0", "shadow.roots: 0 is not between 1 and 64"),
    ("shadow.eager=yes", "shadow.eager: yes is none of true, false"),
    ("shadow.fill-around=0", "shadow.fill-around: 0 is not between 1 and 512"),
    ("shadow.fill-around=6", "shadow.fill-around: 6 is not a power of two"),
    ("shadow.pool=31", "shadow.pool: 31 is not between 32 and 1048576"),
    ("shadow.zap-reused=1", "shadow.zap-reused: 1 is none of true, false"),
    ("nested.accessed-dirty=on", "nested.accessed-dirty: on is none of true, false, none"),
    ("nested.levels=3", "nested.levels: 3 is not between 4 and 5"),
    ("dirty.log=on", "dirty.log: on is none of off, write-protect, accessed-dirty, pml"),
    ("dirty.interval=999", "dirty.interval: 999 is not between 1000 and 18446744073709551615"),
    ("shadow.out-of-sync=0", "shadow.out-of-sync: 0 is not between 1 and 1024"),
    ("rtc.start=today", "rtc.start: today is no date from 1970 to 2099 like 2024-01-31 or 2024-01-31T12:34:56Z"),
    (
      "rtc.start=2023-02-29",
      "rtc.start: 2023-02-29 is no date from 1970 to 2099 like 2024-01-31 or 2024-01-31T12:34:56Z"
    ),
    (
      "rtc.start=2023-01-01T24:00:00Z",
      "rtc.start: 2023-01-01T24:00:00Z is no date from 1970 to 2099 like 2024-01-31 or 2024-01-31T12:34:56Z"
    ),
    ("profile.tlb.l2.hit=-1", "profile.tlb.l2.hit: -1 is negative"),
    ("profile.tlb.l2.hit=x", "profile.tlb.l2.hit: x is not a whole number of up to 64 bits"),
    ("append=a\0b", "append: it contains a NUL"),
    ("clock=\u{1b}[2J", "clock: \\u{1b}[2J is none of cycles, instructions"),
  ]

  @Test("a wrong assignment is refused in one line", arguments: refused)
  func refuses(assignment: String, message: String) throws {
    var configuration = try Configuration()
    let before = configuration
    let error = #expect(throws: SetupError.self) { try ConfigurationKey.apply(assignment, to: &configuration) }
    #expect(error?.description == message)
    #expect(error?.exitStatus == 64)
    #expect(configuration == before)
  }

  @Test(
    "what dirty logging needs is told where it is not there",
    arguments: [
      ("dirty.log=pml paging=nested", nil), ("dirty.log=pml paging=native,nested", nil),
      ("dirty.log=accessed-dirty paging=nested profile=zen4", nil),
      ("dirty.log=write-protect nested.accessed-dirty=false", nil), ("nested.accessed-dirty=true", nil),
      (
        "dirty.log=pml paging=native,shadow:unsync",
        "dirty.log: shadow:unsync keeps no log of what the guest writes; nested does"
      ),
      ("dirty.log=pml paging=agile", "dirty.log: agile keeps no log of what the guest writes; nested does"),
      (
        "dirty.log=pml profile=zen4",
        "dirty.log: pml is Intel's; AMD's processors have accessed-dirty and write-protect"
      ),
      (
        "dirty.log=pml nested.accessed-dirty=false",
        "dirty.log: pml needs A and D in nested tables; write-protect does not"
      ),
      (
        "dirty.log=accessed-dirty profile=nehalem",
        "dirty.log: accessed-dirty needs A and D in nested tables; write-protect does not"
      ),
      (
        "nested.accessed-dirty=true profile=nehalem",
        "nested.accessed-dirty: the profile's processor keeps no A and D in nested tables"
      ),
      (
        "nested.accessed-dirty=false profile=zen4",
        "nested.accessed-dirty: AMD's processors always keep A and D in nested tables"
      ),
    ])
  func dirtyLogging(assignments: String, message: String?) throws {
    var configuration = try Configuration()
    for assignment in assignments.split(separator: " ") {
      try ConfigurationKey.apply(String(assignment), to: &configuration)
    }
    guard let message else { return try configuration.check() }
    let error = #expect(throws: SetupError.self) { try configuration.check() }
    #expect(error?.description == message && error?.exitStatus == 64)
  }

  @Test("an unusable input is an input error, whichever key names it")
  func inputErrors() throws {
    var configuration = try Configuration()
    for (assignment, message) in [
      (
        "profile=nope",
        "profile nope: neither a file nor a built-in profile (skylake, zen4, nehalem, opteron-bh08, p4-hardware-vmm, "
          + "p4-software-vmm, max)"
      ),
      ("initrd=/no/such/file", "initrd /no/such/file: no such file"),
      ("initrd=/", "initrd /: it is a folder"),
      ("initrd=/dev/null", "initrd /dev/null: it is not a regular file"),
    ] {
      let error = #expect(throws: SetupError.self) { try ConfigurationKey.apply(assignment, to: &configuration) }
      #expect(error?.description == message)
      #expect(error?.exitStatus == 66)
    }
  }

  @Test("a figure set by hand outlives a later choice of profile, and is flagged as derived")
  func figuresOutliveProfiles() throws {
    var configuration = try Configuration()
    try ConfigurationKey.apply("profile.tlb.l2.hit=99", to: &configuration)
    try ConfigurationKey.apply("profile=zen4", to: &configuration)
    #expect(configuration.profile[.tlbL2Hit] == 99)
    #expect(configuration.profile.figures[.tlbL2Hit]?.flag == .derived)
    #expect(configuration.profile[.tlbL2Entries] == 3072)
  }

  @Test("feature edits apply to whichever profile is chosen, in order")
  func featureEdits() throws {
    var configuration = try Configuration()
    try ConfigurationKey.apply("cpu-features=-smap,+la57,-pcid,+pcid", to: &configuration)
    #expect(!configuration.features.contains("smap"))
    #expect(configuration.features.suffix(2) == ["la57", "pcid"])
    try ConfigurationKey.apply("profile=nehalem", to: &configuration)
    #expect(configuration.features.suffix(2) == ["la57", "pcid"])
  }

  @Test(
    "figures that do not go together are refused as a whole",
    arguments: [
      (["profile.tlb.l2.ways=7"], "profile.tlb.l2.ways: 1536 entries are not a multiple of 7 ways"),
      (["profile.execute.simple=0"], "profile.execute.simple: 0 is not between 1 and 10000"),
      (["profile.frequency=1"], "profile.frequency: 1 is not between 1000000 and 100000000000"),
      (
        ["cpus=4", "shadow.pool=100"], "shadow.pool: 100 pages are too few for 4 processors, which need 32 each"
      ),
      (["clock.ticks=64"], "clock.ticks: an instruction takes 64 ticks of --clock instructions, not of cycles"),
      (["nested.levels=5"], "nested.levels: the processor has no five levels of tables (cpu-features: +la57)"),
      (["host-page=1G"], "host-page: 1G pages need a memory of 1G or more, not 128M"),
      (
        ["profile.physical-bits=36", "memory=64G"], "memory: 64G are more than 36 physical address bits reach"
      ),
    ])
  func checks(assignments: [String], message: String) throws {
    var configuration = try Configuration()
    for assignment in assignments { try ConfigurationKey.apply(assignment, to: &configuration) }
    let error = #expect(throws: SetupError.self) { try configuration.check() }
    #expect(error?.description == message)
  }

  @Test("an instruction takes any number of ticks, whichever of the two keys comes first")
  func ticks() throws {
    for assignments in [["clock=instructions", "clock.ticks=64"], ["clock.ticks=64", "clock=instructions"]] {
      var configuration = try Configuration()
      for assignment in assignments { try ConfigurationKey.apply(assignment, to: &configuration) }
      try configuration.check()
    }
  }

  @Test("a geometry that needs two figures can be set one after the other")
  func twoFigures() throws {
    var configuration = try Configuration()
    try ConfigurationKey.apply("profile.tlb.l2.entries=2048", to: &configuration)
    try ConfigurationKey.apply("profile.tlb.l2.ways=16", to: &configuration)
    try configuration.check()
  }

  @Test("a configuration splits into one for each kind of paging")
  func splits() throws {
    let configuration = try Configuration(pagings: PagingKind.all)
    #expect(configuration.eachPaging.map(\.paging.name).joined(separator: ", ") == ConfigurationTests.kinds)
  }

  @Test("the documentation has a row for every key")
  func documentation() {
    for key in ConfigurationKey.options { #expect(ConfigurationKey.documentation.contains("| `\(key.name)` |")) }
  }

  @Test("names of keys are unique")
  func uniqueNames() {
    #expect(Set(ConfigurationKey.all.map(\.name)).count == ConfigurationKey.all.count)
  }
}

@Suite struct ConfigurationFileTests {
  private func apply(_ text: String) throws -> Configuration {
    var configuration = try Configuration()
    try ConfigurationFile.apply(InputFile(name: "c.yaml", bytes: Array(text.utf8)), to: &configuration)
    return configuration
  }

  @Test("a file sets keys by name, by nesting and by list")
  func keys() throws {
    let configuration = try apply(
      """
      # A comment.
      paging: [native, nested]
      memory: 64M
      profile: zen4
      profile.tlb.l2.hit: 8
      cache:
        data: full
      shadow:
        roots: 2
        eager: false
      append: "spaces=2 pages=4"
      """)
    #expect(configuration.pagings.map(\.name) == ["native", "nested"])
    #expect(configuration.memory == 64 << 20)
    #expect(configuration.profile[.tlbL2Hit] == 8)
    #expect(configuration.profileName == "zen4")
    #expect(configuration.dataCaches == .full)
    #expect(configuration.shadowRoots == 2)
    #expect(!configuration.shadowEager)
    #expect(configuration.append == "spaces=2 pages=4")
  }

  @Test(
    "a wrong file is refused with file, line and key",
    arguments: [
      ("", "configuration c.yaml: it is empty"),
      ("memory: 64M\nmemry: 1\n", "configuration c.yaml:2: memry: no such key; did you mean memory?"),
      ("memory: lots\n", "configuration c.yaml:1: memory: lots is not a size like 64M or 1G"),
      ("memory: 64M\nmemory: 32M\n", "configuration c.yaml:1: given twice: memory"),
      ("shadow.roots: 1\nshadow:\n  roots: 2\n", "configuration c.yaml:3: shadow.roots: given twice"),
      ("memory: [[1]]\n", "configuration c.yaml:1: memory: a single value is expected"),
      ("shadow:\n  colour: red\n", "configuration c.yaml:2: shadow.colour: no such key"),
      (
        "paging: shade\n",
        "configuration c.yaml:1: paging: shade does not exist; there are \(ConfigurationTests.kinds)"
      ),
      ("? [a]\n: b\n", "configuration c.yaml:1: a key of the file is not a text"),
    ])
  func refuses(text: String, message: String) {
    let error = #expect(throws: SetupError.self) { _ = try apply(text) }
    #expect(error?.description == message)
    #expect(error?.exitStatus == 66)
  }

  @Test("the configuration in a result, given as a file, makes the same configuration")
  func roundTrip() throws {
    var original = try Configuration(pagings: [.shadow(.trace)])
    for assignment in ["profile=nehalem", "memory=256M", "profile.switch.cr3=7", "max-cycles=5", "append=a b"] {
      try ConfigurationKey.apply(assignment, to: &original)
    }
    var text = ""
    for (key, value) in ConfigurationKey.effective(original).sorted(by: { $0.key < $1.key }) {
      if key == "profile.vendor" || key == "profile.features" || value == ConfigurationValue.none { continue }
      text += "\(key): \(value)\n"
    }
    #expect(ConfigurationKey.effective(try apply(text)) == ConfigurationKey.effective(original))
  }
}
