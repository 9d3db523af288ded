import Foundation
import Reports
import Testing

@testable import Emulator
@testable import penumbra

@Suite struct ParsingTests {
  @Test("files come first, then options, then --set")
  func precedence() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".yaml")
    try Data("memory: 32M\nprofile: zen4\ntlb: coherent\n".utf8).write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let options = try MachineOptions.parse([
      "--set", "profile=nehalem", "--profile", "opteron-bh08", "--memory", "64M", "--config", file.path,
    ])
    let configuration = try options.configuration(default: [.nested])
    #expect(configuration.memory == 64 << 20)
    #expect(configuration.profileName == "nehalem")
    #expect(configuration.tlb == .coherent)
    #expect(configuration.paging == .nested)
  }

  @Test("every option that the documentation names is parsed")
  func options() throws {
    let options = try MachineOptions.parse([
      "--paging", "native,nested", "--profile", "zen4", "--memory", "1G", "--cpus", "4", "--host-page", "2M",
      "--append", "-x y", "--clock", "instructions", "--max-instructions", "10", "--max-cycles", "20", "--stats", "-",
      "--format", "csv", "--set", "tlb=coherent", "--cpu-features", "-smap,+la57", "--quiet",
    ])
    let configuration = try options.configuration(default: [.nested])
    #expect(configuration.pagings == [.native, .nested])
    #expect(configuration.append == "-x y")
    #expect(configuration.maxInstructions == 10)
    #expect(configuration.featureEdits.map(\.name) == ["smap", "la57"])
    #expect(options.format == .csv)
  }
}

@Suite struct CommandLineTests {
  static let wrongUsage: [[String]] = [
    ["frobnicate"], [], ["bench"], ["trace"], ["run"], ["run", "hello", "extra"], ["run", "hello", "--nonsense"],
    ["run", "hello", "--memory"],
    ["run", "hello", "--memory", "lots"], ["run", "hello", "--paging", "shade"],
    ["run", "hello", "--paging", "native,nested"], ["run", "hello", "--cpus", "65"], ["run", "hello", "--set", "x"],
    ["run", "hello", "--set", "colour=red"], ["run", "hello", "--format", "xml"], ["run", "hello", "--gdb", "1:x"],
    ["run", "hello", "--wait"], ["debug", "hello", "--gdb", "65536"],
    ["run", "hello", "--set", "profile.tlb.l2.ways=7"], ["run", "hello", "--cpu-features", "pcid"],
    ["compare", "hello", "--region", "300"], ["compare"],
    ["bench", "frobnicate"], ["bench", "context-switch", "--processes", "1"],
    ["bench", "context-switch", "--pages", "0"], ["bench", "context-switch", "--kernel", "x"],
    ["bench", "context-switch", "--switches", "many"], ["debug"], ["verify"], ["guests", "x"],
    ["run", "hello", "--report", "nope"], ["compare", "hello", "--report", ""],
    ["verify", "hello", "--report", "exits"], ["verify", "hello", "--max-cycles", "1000"],
    ["verify", "hello", "--format", "csv"],
    ["verify", "hello", "--paging", "native"], ["bench", "nanobench", "--count", "0"], ["validate", "hello"],
  ]

  @Test(
    "wrong usage ends with 64 and one line on standard error, or the help where a verb is missing",
    arguments: wrongUsage)
  func usage(arguments: [String]) throws {
    let program = try Program(arguments)
    #expect(program.status == 64, "\(arguments): \(program.errors)")
    #expect(program.output == "")
    let isLine = program.errors.hasPrefix("penumbra: ") && program.errors.split(separator: "\n").count == 1
    #expect(isLine || program.errors.hasPrefix("OVERVIEW: "), "\(program.errors)")
  }

  static let unknownVerbs: [([String], String)] = [
    (
      ["replay", "hello"],
      "penumbra: there is no verb replay; there are run, compare, verify, debug, bench, validate, vectors, trace, guests, "
        + "profiles\n"
    ),
    (["comapre"], "penumbra: there is no verb comapre; did you mean compare?\n"),
    (["bench", "nope", "--quiet"], "penumbra: there is no verb bench nope; there are context-switch, nanobench\n"),
    (["profiles", "nope"], "penumbra: there is no verb profiles nope; there are list, show\n"),
    (["trace", "a\nb"], "penumbra: there is no verb trace a\\u{a}b; there are record, info, diff\n"),
  ]

  static let wrongValues = [
    ("--memory", "-5", "memory: -5 is not a size"), ("--max-instructions", "-1", "max-instructions: -1 is not a"),
    ("--cpus", "-1", "cpus: -1 is not a"), ("--paging", "", "paging: a name is missing"),
  ]

  @Test("a negative number and an empty name are answered as what they are", arguments: wrongValues)
  func wrongValue(option: String, value: String, message: String) throws {
    let program = try Program("run", "hello", option, value)
    #expect(program.status == 64)
    #expect(program.errors.hasPrefix("penumbra: \(message)"), "\(program.errors)")
  }

  @Test(
    "verify finds no difference under agile paging, whatever the host does to the guest's frames",
    arguments: [[], ["--set", "host.churn=5000", "--host-page", "2M"]])
  func verifyAgile(options: [String]) throws {
    let often = ["--set", "agile.interval=20000", "--set", "agile.patience=0", "--memory", "64M"]
    let guest = ["paging-tour"] + often + options
    let program = try Program(["verify", "--paging", "native,nested,agile", "--check-invariants"] + guest)
    #expect(program.status == 0, "\(program.errors)")
    #expect(program.output == "" && program.errors.contains("no difference between native, nested and agile"))
    let alone = try Program(["run", "--paging", "agile", "--quiet", "--stats", "-", "--clock", "instructions"] + guest)
    #expect(alone.status == 1)
    let statistics = try Statistics(json: alone.errors)
    #expect(try #require(statistics.agile).cameBack > 0)
    let churn = statistics.churn.map { [$0.moved, $0.unmapped, $0.writeProtected] }
    #expect(churn.map { $0.allSatisfy { $0 > 0 } } ?? options.isEmpty)
  }

  @Test("an unknown verb is named, with those that there are", arguments: unknownVerbs)
  func unknownVerb(arguments: [String], message: String) throws {
    let program = try Program(arguments)
    #expect(program.status == 64)
    #expect(program.output == "")
    #expect(program.errors == message)
  }

  @Test("no verb at all is wrong usage, with the help on standard error", arguments: [[], ["bench"], ["trace"]])
  func noVerb(arguments: [String]) throws {
    let program = try Program(arguments)
    #expect(program.status == 64)
    #expect(program.output == "")
    #expect(program.errors.contains("USAGE: \((["penumbra"] + arguments).joined(separator: " "))"))
  }

  static let wrongInput: [([String], String)] = [
    (["run", "no-such-guest"], "penumbra: guest no-such-guest: neither a file nor a built-in guest"),
    (["run", "./nothing.elf"], "penumbra: guest ./nothing.elf: no such file\n"),
    (["run", "/"], "penumbra: guest /: it is a folder\n"),
    (["run", "hello", "--profile", "nope"], "penumbra: profile nope: neither a file nor a built-in profile"),
    (["run", "hello", "--initrd", "/no/such"], "penumbra: initrd /no/such: no such file\n"),
    (["run", "hello", "--config", "/no/such"], "penumbra: configuration /no/such: no such file\n"),
    (["run", "hello", "--stats", "/no/such/file"], "penumbra: statistics /no/such/file: no such file or directory\n"),
    (["profiles", "show", "nope"], "penumbra: profile nope: neither a file nor a built-in profile"),
    (["compare", "nope"], "penumbra: guest nope: neither a file nor a built-in guest"),
  ]

  @Test("missing or unusable input ends with 66 and one line", arguments: wrongInput)
  func input(arguments: [String], message: String) throws {
    let program = try Program(arguments)
    #expect(program.status == 66)
    #expect(program.output == "")
    #expect(program.errors.hasPrefix(message), "\(program.errors)")
    #expect(program.errors.split(separator: "\n").count == 1)
  }

  @Test("--version, --help at every level and the completion scripts end with 0")
  func help() throws {
    for arguments in [
      ["--version"], ["--help"], ["help"], ["help", "run"],
      ["run", "--help"], ["compare", "--help"], ["bench", "--help"],
      ["bench", "context-switch", "--help"], ["guests", "--help"], ["profiles", "--help"],
      ["profiles", "show", "--help"],
      ["--generate-completion-script", "bash"],
    ] {
      let program = try Program(arguments)
      #expect(program.status == 0, "\(arguments)")
      #expect(!program.output.isEmpty, "\(arguments)")
    }
  }

  @Test("the help of a verb tells what every key without an option is for")
  func keys() throws {
    let help = try Program("run", "--help").output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    for key in ConfigurationKey.options {
      #expect(help.contains("--\(key.name) ") || help.contains("\(key.name)=\(key.form): \(key.help)"), "\(key.name)")
    }
  }

  @Test("guests and profiles are listed on standard output without colour")
  func lists() throws {
    let guests = try Program("guests")
    #expect(guests.status == 0)
    #expect(guests.output.contains("\nhello "))
    let profiles = try Program("profiles")
    #expect(profiles.output.contains("\nskylake ") && profiles.output.contains("\nnehalem "))
    let show = try Program("profiles", "show", "nehalem", "--format", "csv")
    #expect(show.output.contains("\nexit.round-trip,1009,P,"))
    #expect(![guests, profiles, show].contains { $0.output.contains("\u{1b}") })
  }

  @Test("run prints the guest's output alone on standard output and a summary on standard error")
  func run() throws {
    let program = try Program("run", "hello")
    #expect(program.status == 1, "the guest writes 0 to the debug-exit port")
    #expect(program.output.hasPrefix("Hello from a guest kernel!\n"))
    #expect(program.errors.contains("instructions"))
    let quiet = try Program("run", "hello", "--quiet")
    #expect(quiet.errors == "")
    #expect(quiet.output == program.output)
  }

  @Test("statistics go to a file, or to standard error")
  func statistics() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: file) }
    #expect(try Program("run", "hello", "--stats", file.path, "--quiet").status == 1)
    let written = try String(contentsOf: file, encoding: .utf8)
    let statistics = try Statistics(json: written)
    #expect(statistics.guest.name == "hello")
    #expect(statistics.outcome?.name == "debug-exit")
    #expect(statistics.config["paging"] == .text("nested"))
    let program = try Program("run", "hello", "--stats", "-", "--quiet")
    #expect(program.errors == written, "the same run gives the same bytes")
  }

  @Test func `a script that is not there, or that cannot all be done, shows in the exit status`() throws {
    let missing = try Program(["debug", "hello", "--batch", "-x", "/nonexistent"])
    #expect(missing.status == 66)
    #expect(missing.errors.contains("/nonexistent"))
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
    defer { try? FileManager.default.removeItem(atPath: file) }
    try "step\nsteq\nprint 1111 * 1111\n".write(toFile: file, atomically: true, encoding: .utf8)
    let broken = try Program(["debug", "hello", "--batch", "-x", file])
    #expect(broken.status == 6)
    #expect(broken.output.contains("\(file):2: the file's commands end here") && !broken.output.contains("1234321"))
  }

  @Test func `the statistics of a debugged run tell how it ended`() throws {
    let program = try Program(["debug", "hello", "--batch", "--quiet", "-ex", "continue", "--stats", "-"])
    #expect(program.errors.contains("\"debug-exit\""))
  }

  @Test("a limit ends with 4")
  func limit() throws {
    let program = try Program("run", "hello", "--max-instructions", "100")
    #expect(program.status == 4)
    #expect(program.errors.hasPrefix("penumbra: the limit of 100 instructions was reached\n"))
  }

  @Test("compare prints one table for all kinds of paging")
  func compare() throws {
    let program = try Program("compare", "hello", "--quiet")
    #expect(program.status == 0)
    #expect(program.errors == "")
    for word in ["native", "shadow:trace", "shadow:unsync", "shadow:vtlb", "nested", "execute", "is the cheapest"] {
      #expect(program.output.contains(word), "\(word)")
    }
  }

  @Test("tables that run is asked for stand behind its summary on standard error, alone with --quiet")
  func reports() throws {
    let plain = try Program("run", "hello")
    let program = try Program("run", "hello", "--report", "exits,memory")
    #expect(program.status == 1 && program.output == plain.output)
    #expect(program.errors.hasPrefix(plain.errors + "\nhello: exits by reason"), "\(program.errors)")
    for word in ["VM-EXIT", "\nnested-fault ", "\nTotal Samples: ", "hello: overhead memory", "\nnested.4 ", "█"] {
      #expect(program.errors.contains(word), "\(word)")
    }
    let document = try Program("run", "hello", "--report", "all", "--format", "json", "--quiet")
    #expect(document.errors.hasPrefix("{\n") && document.errors.hasSuffix("\n}\n"))
    for word in ["\"hits\" : [", "\"mmu\" : [", "\"timeline\" : {"] { #expect(document.errors.contains(word)) }
    let help = try Program("run", "--help").output
    for report in Report.allCases { #expect(help.contains("\(report.rawValue): \(report.summary.prefix(20))")) }
  }

  @Test("compare prints the tables that it is asked for, none wider than a hundred columns")
  func comparedReports() throws {
    let program = try Program("compare", "hello", "--report", "exits,mmu,hits,memory", "--quiet")
    #expect(program.status == 0 && program.errors == "")
    #expect(!program.output.contains("is the cheapest"), "causes were not asked for")
    for word in ["VM-EXIT", "hiddenFaults", "nested PDE cache", "shadow.direct"] {
      #expect(program.output.contains(word), "\(word)")
    }
    for line in program.output.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
  }

  @Test("bench context-switch prints a row for each point")
  func bench() throws {
    let program = try Program(
      "bench", "context-switch", "--processes", "2", "--pages", "4", "--switches", "20", "--format", "csv", "--quiet")
    #expect(program.status == 0, "\(program.errors)")
    #expect(program.output.split(separator: "\n").count == 1 + 3 * PagingKind.all.count)
  }

  @Test("Control-C stops the guest, still prints the summary and writes the statistics, and ends with 130")
  func interrupt() throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    defer { try? FileManager.default.removeItem(at: file) }
    let process = Process()
    process.executableURL = Program.url
    process.arguments = ["run", "compute", "--append", "rounds=100000000", "--stats", file.path]
    process.standardInput = FileHandle.nullDevice
    let output = Pipe()
    process.standardOutput = output
    let errors = Pipe()
    process.standardError = errors
    try process.start()
    // The guest's first words tell that it runs.
    #expect(!output.fileHandleForReading.availableData.isEmpty)
    process.interrupt()
    let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 130)
    #expect(text.hasPrefix("penumbra: interrupted\n"), "\(text)")
    let statistics = try Statistics(json: String(contentsOf: file, encoding: .utf8))
    #expect(statistics.outcome?.status == 130)
    #expect(statistics.instructions > 0)
  }

  @Test("a terminal gets colour, unless NO_COLOR is set")
  func colour() throws {
    for (environment, expected) in [([:], true), (["NO_COLOR": "1"], false), (["TERM": "dumb"], false)] {
      var master: Int32 = -1
      var slave: Int32 = -1
      try #require(openpty(&master, &slave, nil, nil, nil) == 0)
      let process = Process()
      process.executableURL = Program.url
      process.arguments = ["profiles"]
      var variables = ProcessInfo.processInfo.environment
      variables["NO_COLOR"] = nil
      variables["TERM"] = "xterm"
      process.environment = variables.merging(environment) { $1 }
      process.standardOutput = FileHandle(fileDescriptor: slave, closeOnDealloc: false)
      try process.start()
      process.waitUntilExit()
      close(slave)
      var bytes = [UInt8](repeating: 0, count: 1 << 16)
      let count = read(master, &bytes, bytes.count)
      #expect(bytes[..<max(count, 0)].contains(0x1b) == expected, "\(environment)")
      close(master)
    }
  }
}

@Suite struct ValidateTests {
  @Test("every prediction of published figures holds, or is known to miss")
  func predictions() throws {
    let run = try Program("validate", "--quiet")
    #expect(run.status == 0, "\(run.output)")
    for (walk, references) in [
      ("4K on 4K", "24.00"), ("4K on 4K, five levels on five", "35.00"), ("switch at the root", "20.00"),
    ] {
      let line = try #require(run.output.split(separator: "\n").first { $0.contains(walk + "  ") })
      #expect(line.split(separator: " ").count { $0 == references } == 2, "\(line)")
    }
    #expect(run.output.hasSuffix(" failed\n"))
  }
}
