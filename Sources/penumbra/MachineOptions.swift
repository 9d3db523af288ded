import ArgumentParser
import Emulator
import Reports

/// The options that every verb which runs a guest shares. Those that set a key of the configuration are texts here: the
/// key's own parser reads them, so that an option, `--set` and a file accept and refuse the same.
struct MachineOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      """
      How the guest's memory is virtualised: \(PagingKind.all.map(\.name).joined(separator: ", ")); shadow is \
      shadow:trace. For compare, verify and bench a list, or all.
      """, valueName: "kind"),
    completion: .list(PagingKind.all.map(\.name)))
  var paging: String?

  @Option(
    help: ArgumentHelp("Cost profile: a built-in one or a YAML file.", valueName: "name-or-file"),
    completion: .list(ProfileLibrary.names))
  var profile: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Guest memory, for example 64M or 1G.", valueName: "size"))
  var memory: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Processors.", valueName: "n"))
  var cpus: String?

  @Option(
    help: ArgumentHelp("Page size that the hypervisor maps with: 4K, 2M or 1G.", valueName: "size"),
    completion: .list(["4K", "2M", "1G"]))
  var hostPage: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("The guest's command line.", valueName: "text"))
  var append: String?

  @Option(help: ArgumentHelp("Initial RAM disk.", valueName: "file"), completion: .file())
  var initrd: String?

  @Option(
    help: ArgumentHelp("What the guest's TSC and timers count: cycles or instructions.", valueName: "unit"),
    completion: .list(["cycles", "instructions"]))
  var clock: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Stop after so many instructions, 1 or more.", valueName: "n"))
  var maxInstructions: String?

  @Option(parsing: .unconditional, help: ArgumentHelp("Stop after so many cycles, 1 or more.", valueName: "n"))
  var maxCycles: String?

  @Option(
    parsing: .unconditional,
    help: ArgumentHelp("Changes of the profile's CPU features: +pcid,-smap,...", valueName: "list"))
  var cpuFeatures: String?

  @Option(
    name: .customLong("set"), parsing: .unconditionalSingleValue,
    help: ArgumentHelp(
      "Set a key of the configuration; repeatable.",
      discussion: keys,
      valueName: "key=value"),
    completion: .list(ConfigurationKey.all.map { $0.name + "=" }))
  var assignments: [String] = []

  /// The keys that have no option of their own, each with what it means.
  private static var keys: String {
    let named = [
      "paging", "profile", "memory", "cpus", "host-page", "append", "initrd", "clock", "max-instructions", "max-cycles",
      "cpu-features",
    ]
    let others = ConfigurationKey.options.filter { !named.contains($0.name) }
    return "Keys: " + named.joined(separator: ", ") + ", which have options of their own;\n"
      + others.map { "\($0.name)=\($0.form): \($0.help)\n" }.joined()
      + "profile.FIGURE=N: any figure that `penumbra profiles show` lists."
  }

  @Option(
    name: .customLong("config"), parsing: .singleValue,
    help: ArgumentHelp(
      "A YAML file with keys of the configuration; options and --set come after it.", valueName: "file"),
    completion: .file(extensions: ["yaml", "yml"]))
  var files: [String] = []

  @Option(
    help: ArgumentHelp("Write the statistics as JSON (-: standard error).", valueName: "file"), completion: .file())
  var stats: String?

  @Option(help: "How a table is printed: table, json or csv.")
  var format = OutputFormat.table

  @Flag(
    help: ArgumentHelp(
      "Check shadow tables, TLBs and the account after every exit; slow. Exit status 70 where something is broken."))
  var checkInvariants = false

  @Flag(name: .shortAndLong, help: "Say nothing on standard error but errors.")
  var quiet = false

  @Flag(name: .shortAndLong, help: "Say more, for example which ports nobody claimed.")
  var verbose = false

  /// The configuration that files, options and `--set` make, in this order; a later one has the last word.
  /// - Parameters:
  ///   - pagings: what holds where none of them says.
  ///   - prepare: sets whatever else the verb has a default of its own for.
  func configuration(
    default pagings: [PagingKind], _ prepare: (inout Configuration) -> Void = { _ in }
  ) throws(SetupError) -> Configuration {
    var configuration = try Configuration(pagings: pagings)
    prepare(&configuration)
    configuration.checksInvariants = checkInvariants
    for file in files { try ConfigurationFile.apply(path: file, to: &configuration) }
    let options: [(key: String, value: String?)] = [
      ("paging", paging), ("profile", profile), ("memory", memory), ("cpus", cpus), ("host-page", hostPage),
      ("append", append), ("initrd", initrd), ("clock", clock), ("max-instructions", maxInstructions),
      ("max-cycles", maxCycles), ("cpu-features", cpuFeatures),
    ]
    for (key, value) in options {
      if let value { try ConfigurationKey.named(key).set(value, in: &configuration) }
    }
    for assignment in assignments { try ConfigurationKey.apply(assignment, to: &configuration) }
    for one in configuration.eachPaging { try one.check() }
    return configuration
  }
}

extension OutputFormat: ExpressibleByArgument {}
