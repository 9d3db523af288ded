import ArgumentParser

/// The command line. A verb only reads its arguments and wires; what it does lives in the libraries.
@main struct Penumbra: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "penumbra",
    abstract: "Runs tiny kernels on a modelled x86-64 MMU and tells where the cycles went.",
    discussion: """
      Exit status: the guest's own is odd, (V << 1) | 1 for a V written to port 0xf4; 0 when it powered off or halted; \
      2 triple fault, lock-up or something unsupported; 4 a limit, or nothing left to wait for; 6 something differs \
      (README.md says which verb's); 64 wrong usage; \
      66 missing or unusable input; 70 a defect; 130 Control-C.
      """,
    version: "0.1.0",
    subcommands: [
      Run.self, Compare.self, Verify.self, Debug.self, Bench.self, Validate.self, VectorsVerb.self, TraceVerb.self,
      Guests.self, Profiles.self, Instructions.self, Findings.self,
    ])

  static func main() {
    if let problem = VerbCheck.problem(CommandLine.arguments.dropFirst()) {
      Diagnostics.say(problem)
      exit(withError: ExitCode(64))
    }
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      exit(withError: Diagnostics.usageProblem(error) ?? error)
    }
  }
}
