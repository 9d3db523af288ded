import Machine

extension ConfigurationKey {
  /// The keys that are no figures, in the order in which documents list them.
  public static let options: [ConfigurationKey] = [
    ConfigurationKey(
      "paging", PagingKind.all.map(\.name).joined(separator: "|"),
      "how the guest's memory is virtualised; a list, or `all`, for compare and bench"
    ) {
      .text($0.pagings.map(\.name).joined(separator: ","))
    } set: {
      $0.pagings = try PagingKind.list($1)
    },
    ConfigurationKey("profile", "NAME or FILE", "the cost profile: a built-in one, or a YAML file") {
      .text($0.profileName)
    } set: {
      $0.chosenProfile = try ProfileLibrary.profile($1)
      $0.profileName = $1
    },
    ConfigurationKey("memory", "SIZE", "guest memory, from 1M to 64G, a multiple of 4K") {
      .number($0.memory)
    } set: {
      $0.memory = try memorySize($1)
    },
    ConfigurationKey("cpus", "1...64", "processors") {
      .number(UInt64($0.cpus))
    } set: {
      $0.cpus = Int(try number("cpus", $1, in: 1...64))
    },
    ConfigurationKey(
      "smp.quantum", "N", "how far one of several processors may run ahead of the others, in ticks of the clock"
    ) {
      .number($0.quantum)
    } set: {
      $0.quantum = try number("smp.quantum", $1, in: 1...UInt64(UInt32.max))
    },
    ConfigurationKey("host-page", "4K|2M|1G", "the page size by which the hypervisor maps guest memory") {
      .text(NumberParsing.describe(bytes: $0.hostPage.bytes))
    } set: {
      let text = $1
      guard let size = PageSize.allCases.first(where: { NumberParsing.describe(bytes: $0.bytes) == text }) else {
        throw refused("host-page", text, "4K, 2M, 1G")
      }
      $0.hostPage = size
    },
    ConfigurationKey("append", "TEXT", "the guest's command line") {
      .text($0.append)
    } set: {
      guard $1.utf8.count <= 16384 else { throw SetupError.usage("append: \($1.utf8.count) bytes are more than 16384") }
      guard !$1.utf8.contains(0) else { throw SetupError.usage("append: it contains a NUL") }
      $0.append = $1
    },
    ConfigurationKey("initrd", "FILE", "the initial RAM disk; empty: none") {
      $0.initrd.map { .text($0.name) } ?? .none
    } set: {
      $0.initrd = $1.isEmpty ? nil : try InputFile.read($1, what: "initrd")
    },
    choice("clock", \.clock, "what the guest's TSC and timers count"),
    ConfigurationKey(
      "clock.ticks", "1...1000",
      "--clock instructions: ticks of the guest's TSC and timers that an instruction takes"
    ) {
      .number($0.clockTicks)
    } set: {
      $0.clockTicks = try number("clock.ticks", $1, in: 1...1000)
    },
    limit("max-instructions", \.maxInstructions, "stop after so many instructions, 1 or more; none: never"),
    limit("max-cycles", \.maxCycles, "stop after so many cycles, 1 or more; none: never"),
    ConfigurationKey(
      "cpu.vendor", Vendor.allCases.map(\.rawValue).joined(separator: "|"),
      "whose processor the guest sees, in CPUID and wherever the two differ; the profile's own where it is not given"
    ) {
      .text($0.profile.vendor.rawValue)
    } set: {
      guard let vendor = Vendor(rawValue: $1) else {
        throw refused("cpu.vendor", $1, Vendor.allCases.map(\.rawValue).joined(separator: ", "))
      }
      $0.vendorChange = vendor
    },
    ConfigurationKey("cpu-features", "+NAME,-NAME,...", "changes of the profile's CPU features") {
      .text($0.featureEdits.map { ($0.adds ? "+" : "-") + $0.name }.joined(separator: ","))
    } set: {
      $0.featureEdits = try CPUFeatures.edits($1)
    },
    choice("cache.data", \.dataCaches, "what data accesses cost beyond a hit in L1"),
    choice("tlb", \.tlb, "whether TLBs may hold what the guest's tables no longer say"),
    ConfigurationKey(
      "block.length", "1...64", "the greatest number of instructions in a decoded block; changes speed and nothing else"
    ) {
      .number(UInt64($0.blockLength))
    } set: {
      $0.blockLength = Int(try number("block.length", $1, in: 1...64))
    },
    ConfigurationKey(
      "snapshot.every", "N",
      "go back to a snapshot taken that moment, every N instructions; proves that snapshots change no result; 0: never"
    ) {
      .number($0.snapshotEvery)
    } set: {
      $0.snapshotEvery = try number("snapshot.every", $1, in: 0...UInt64.max)
    },
    ConfigurationKey("shadow.roots", "1...64", "shadow paging: roots kept for address spaces to come back to") {
      .number(UInt64($0.shadowRoots))
    } set: {
      $0.shadowRoots = Int(try number("shadow.roots", $1, in: 1...64))
    },
    flag("shadow.eager", \.shadowEager, "shadow paging: fill an entry as soon as the guest makes it present"),
    ConfigurationKey(
      "shadow.fill-around", "1|2|4|...|512",
      "shadow paging: entries that a fault fills at once, of the aligned group around it and used before; 1: its own"
    ) {
      .number(UInt64($0.shadowFillAround))
    } set: {
      let value = try number("shadow.fill-around", $1, in: 1...512)
      guard value & (value - 1) == 0 else {
        throw SetupError.usage("shadow.fill-around: \(value) is not a power of two")
      }
      $0.shadowFillAround = Int(value)
    },
    count(
      "shadow.pool", \.shadowPool, in: 32...1 << 20,
      "shadow paging: the most shadow pages, those used longest ago make room; none: 20 per mille of the guest's frames"
    ),
    flag(
      "shadow.zap-reused", \.shadowZapReused, "shadow paging: drop the shadows of a frame that is written like data"),
    count(
      "shadow.out-of-sync", \.shadowOutOfSync, in: 1...1024,
      "shadow:unsync: the most tables out of step, for each processor; none: any number"),
    ConfigurationKey("agile.interval", "1000...", "agile: cycles between two looks at which nested tables are written")
    {
      .number($0.agile.interval)
    } set: {
      $0.agile.interval = try number("agile.interval", $1, in: 1000...UInt64.max)
    },
    flag(
      "agile.start-nested", \.agile.startsNested,
      "agile: whether new tables begin nested, new address spaces with their roots"),
    ConfigurationKey(
      "agile.patience", "0...10000",
      "agile: how much of the price of shadowing a table nested walks must have cost before it is done, in per cent"
    ) {
      .number($0.agile.patience)
    } set: {
      $0.agile.patience = try number("agile.patience", $1, in: 0...10000)
    },
    ConfigurationKey(
      "nested.accessed-dirty", "true|false|none",
      "nested: whether the hardware keeps A and D in nested tables; none: where it can, by the profile"
    ) {
      $0.nestedAccessedDirty.map { .flag($0) } ?? .none
    } set: {
      guard let value = ["true": true, "false": false, "none": Bool?.none][$1] else {
        throw refused("nested.accessed-dirty", $1, "true, false, none")
      }
      $0.nestedAccessedDirty = value
    },
    ConfigurationKey("nested.levels", "4|5", "nested and agile: levels of the hypervisor's nested tables") {
      .number(UInt64($0.nestedLevels))
    } set: {
      $0.nestedLevels = Int(try number("nested.levels", $1, in: 4...5))
    },
    choice("dirty.log", \.dirtyLog.method, "nested: how pages are logged that the guest writes, as for a migration"),
    ConfigurationKey("dirty.interval", "1000...", "cycles between two collections of the pages that were logged") {
      .number($0.dirtyLog.interval)
    } set: {
      $0.dirtyLog.interval = try number("dirty.interval", $1, in: 1000...UInt64.max)
    },
    ConfigurationKey(
      "host.churn", "N",
      "every N cycles, 100 or more, the host unmaps, moves or write-protects a guest frame that it draws; none: never"
    ) {
      $0.hostChurn.map { .number($0) } ?? .none
    } set: {
      $0.hostChurn = $1 == "none" ? nil : try number("host.churn", $1, in: 100...UInt64.max)
    },
    ConfigurationKey(
      "rtc.start", "DATE", "what the real-time clock starts with, for example 2024-01-31T12:34:56Z (UTC)"
    ) {
      .text($0.rtcStart.description)
    } set: {
      guard let value = StartDate($1) else {
        throw SetupError.usage(
          "rtc.start: \(printable($1)) is no date from 1970 to 2099 like 2024-01-31 or 2024-01-31T12:34:56Z")
      }
      $0.rtcStart = value
    },
  ]

  private static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
    _ name: String, _ path: any WritableKeyPath<Configuration, Value> & Sendable, _ help: String
  ) -> ConfigurationKey {
    let names = Value.allCases.map(\.rawValue)
    return ConfigurationKey(name, names.joined(separator: "|"), help) {
      .text($0[keyPath: path].rawValue)
    } set: {
      guard let value = Value(rawValue: $1) else { throw refused(name, $1, names.joined(separator: ", ")) }
      $0[keyPath: path] = value
    }
  }

  private static func limit(
    _ name: String, _ path: any WritableKeyPath<Configuration, UInt64?> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name, "N", help) {
      $0[keyPath: path].map(ConfigurationValue.number) ?? .none
    } set: {
      let value = $1 == "none" ? nil : try number(name, $1, in: 0...UInt64.max)
      guard value != 0 else {
        throw SetupError.usage("\(name): 0 is no limit that a run can reach; none means no limit")
      }
      $0[keyPath: path] = value
    }
  }

  private static func flag(
    _ name: String, _ path: any WritableKeyPath<Configuration, Bool> & Sendable, _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name, "true|false", help) {
      .flag($0[keyPath: path])
    } set: {
      guard let value = Bool($1) else { throw refused(name, $1, "true, false") }
      $0[keyPath: path] = value
    }
  }

  /// A count that may be left open.
  private static func count(
    _ name: String, _ path: any WritableKeyPath<Configuration, Int?> & Sendable, in range: ClosedRange<UInt64>,
    _ help: String
  ) -> ConfigurationKey {
    ConfigurationKey(name, "N", help) {
      $0[keyPath: path].map { .number(UInt64($0)) } ?? .none
    } set: {
      $0[keyPath: path] = $1 == "none" ? nil : Int(try number(name, $1, in: range))
    }
  }

  private static func refused(_ name: String, _ value: String, _ allowed: String) -> SetupError {
    .usage("\(name): \(printable(value)) is none of \(allowed)")
  }

  private static func number(_ name: String, _ text: String, in range: ClosedRange<UInt64>) throws(SetupError) -> UInt64
  {
    guard let value = NumberParsing.integer(text) else {
      throw .usage("\(name): \(printable(text)) is not a whole number")
    }
    guard range.contains(value) else {
      throw .usage("\(name): \(value) is not between \(range.lowerBound) and \(range.upperBound)")
    }
    return value
  }

  private static func memorySize(_ text: String) throws(SetupError) -> UInt64 {
    guard let bytes = NumberParsing.bytes(text) else {
      throw .usage("memory: \(printable(text)) is not a size like 64M or 1G")
    }
    let limits = Configuration.memoryLimits
    guard limits.contains(bytes) else {
      throw .usage(
        "memory: \(NumberParsing.describe(bytes: bytes)) is not between "
          + "\(NumberParsing.describe(bytes: limits.lowerBound)) and "
          + NumberParsing.describe(bytes: limits.upperBound))
    }
    guard bytes % 4096 == 0 else { throw .usage("memory: \(bytes) bytes are not a multiple of 4K") }
    return bytes
  }
}
