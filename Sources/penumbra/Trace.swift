import ArgumentParser
import Emulator
import Foundation
import Reports
import Tracing

/// `penumbra trace`
struct TraceVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace", abstract: "Write down what a run did; look at that and compare it.",
    subcommands: [Record.self, Info.self, Diff.self])

  /// `penumbra trace record GUEST...`
  struct Record: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Run guests and write a trace of each: statistics, output and the sequence of exits.",
      discussion: """
        Each guest runs under each kind of paging that --paging lists (all), without input, and its trace is \
        FOLDER/GUEST.KIND.trace. With --golden the names are those of golden records (all, if there are none), whose \
        guests and parameters are fixed; the images that they rest on are kept in FOLDER/images. Exit status 0 however \
        the guests ended, 130 after Control-C.
        """)

    @Argument(help: "Files, or names of built-in guests.", completion: .file())
    var names: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("The folder for the traces.", valueName: "folder"))
    var output: String

    @Flag(help: "Record the golden records of those names.")
    var golden = false

    @Option(help: ArgumentHelp("Exits that a trace tells one by one; a hash goes over all.", valueName: "n"))
    var exits = ExitSequence.usualLimit

    @OptionGroup var options: MachineOptions

    func validate() throws {
      guard golden || !names.isEmpty else { throw ValidationError("missing expected argument '<names> ...'") }
      guard (0...ExitSequence.greatestLimit).contains(exits) else {
        throw ValidationError("exits: \(exits) is not between 0 and \(ExitSequence.greatestLimit)")
      }
    }

    func run() throws {
      try Diagnostics.report {
        let configuration = try options.configuration(default: PagingKind.all)
        guard options.stats == nil else { throw SetupError.usage("stats: a trace holds the statistics already") }
        if golden {
          guard try configuration == Configuration(pagings: PagingKind.all), exits == ExitSequence.usualLimit else {
            throw SetupError.usage("golden: the configurations of golden records are fixed")
          }
          try recordGolden()
        } else {
          for image in try names.map(GuestImage.find) {
            let name = URL(fileURLWithPath: image.name).lastPathComponent
            for one in configuration.eachPaging {
              try write(try TraceRecorder(name, one, guest: image, keeping: exits), one.paging, name)
            }
          }
        }
      }
    }

    private func recordGolden() throws {
      for record in try names.isEmpty ? GoldenRecord.all : names.map(GoldenRecord.named) {
        let image = try GuestImage.find(record.guest)
        try KeptImage.write(image, to: output)
        for paging in PagingKind.all { try write(try record.recorder(paging, image: image), paging, record.name) }
      }
    }

    private func write(_ recorder: TraceRecorder, _ paging: PagingKind, _ name: String) throws {
      let outcome = Interruption.whileWatching(recorder.machine) { recorder.machine.run() }
      // Half a run is no record of it.
      if Interruption.wasRequested { throw ExitCode(130) }
      let path = "\(output)/\(Trace.fileName(name, paging))"
      try TraceFile.write(recorder.trace(outcome), to: path)
      if !options.quiet { Diagnostics.say("penumbra: \(path): \(outcome.message)\n") }
    }
  }

  /// `penumbra trace info FILE`
  struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what a trace is of.")

    @Argument(help: "A trace.", completion: .file())
    var file: String

    @Option(help: ArgumentHelp("Also list the first exits.", valueName: "n"))
    var exits = 0

    func validate() throws {
      guard exits >= 0 else { throw ValidationError("exits: \(exits) is less than 0") }
    }

    func run() throws {
      try Diagnostics.report {
        let trace = try TraceFile.read(file)
        var text = TraceSummary.text(trace)
        for (index, exit) in trace.exits.kept.prefix(exits).enumerated() { text += "\(index)  \(exit)\n" }
        Diagnostics.show(text)
      }
    }
  }

  /// `penumbra trace diff A B`
  struct Diff: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Tell how two traces differ.", discussion: "Exit status 0 when they do not, 6 when they do.")

    @Argument(help: "A trace.", completion: .file())
    var left: String

    @Argument(help: "Another.", completion: .file())
    var right: String

    func run() throws {
      var status: Int32 = 0
      try Diagnostics.report {
        let comparison = try TraceComparison(try TraceFile.read(left), try TraceFile.read(right))
        Diagnostics.show(comparison.text)
        status = comparison.isSame ? 0 : 6
      }
      throw ExitCode(status)
    }
  }
}
