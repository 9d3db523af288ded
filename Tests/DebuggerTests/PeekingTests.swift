import Devices
import Emulator
import Machine
import Testing

@testable import Debugger

/// Whatever is looked at, stepped over or gone back to, the machine ends as if nobody had been there.
@Suite struct PeekingTests {
  private struct Ending: Equatable {
    var outcome: RunOutcome?
    var statistics: Statistics
    var output: String
  }

  private func session(_ paging: PagingKind, _ guest: GuestImage) throws -> (Session, BufferConsole) {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 32 << 20
    let output = BufferConsole()
    let console = SessionConsole(source: output)
    let machine = try VirtualMachine(configuration, guest: guest, console: console)
    return (Session(machine, console: console), output)
  }

  /// The run that nobody looks at: without a debugger at all.
  private func undisturbed(_ paging: PagingKind, _ guest: GuestImage) throws -> Ending {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 32 << 20
    let console = BufferConsole()
    let machine = try VirtualMachine(configuration, guest: guest, console: console)
    let outcome = machine.run()
    return Ending(outcome: outcome, statistics: machine.statistics, output: Self.joined(console.text))
  }

  private static let looks = [
    "info registers", "info cr", "info msr", "info segments", "info flags", "info debug", "info apic", "info devices",
    "info mem", "info tlb", "info tlb stale", "info shadow", "info nested", "info exits", "info cost",
    "info breakpoints", "info time", "info checkpoints", "walk $pc", "walk $rsp", "walk 0x8000000000", "x/16gx $rsp",
    "x/4i $pc", "xp/4wx 0x100000", "print $rax", "print stale($rsp)", "print cost(\"walk\")", "disassemble",
    "backtrace",
  ]

  private func ending(_ paging: PagingKind, _ commands: [String]) throws -> Ending {
    let (session, _) = try session(paging, Dialogue.questions)
    var text = ""
    let prompt = Prompt(session) { _ in }
    session.console.output = { text += String(decoding: $0, as: UTF8.self) }
    for command in commands { prompt.execute(command) }
    session.breakpoints = []
    while session.outcome == nil { _ = session.resume() }
    return Ending(outcome: session.outcome, statistics: session.machine.statistics, output: Self.joined(text))
  }

  /// Without the ends of lines: the prompt ends one where a stop is in the middle of it.
  private static func joined(_ text: String) -> String { text.filter { !$0.isNewline } }

  @Test(arguments: PagingKind.all)
  func `looking at everything every thousand instructions changes no cycle`(paging: PagingKind) throws {
    var commands: [String] = []
    for _ in 0..<12 { commands += ["ri 1000"] + Self.looks }
    #expect(try ending(paging, commands) == undisturbed(paging, Dialogue.questions))
  }

  @Test(arguments: PagingKind.all)
  func `stepping changes no cycle`(paging: PagingKind) throws {
    let commands = ["goto-instruction 12000", "step 700", "next 30", "finish", "until", "step 50"]
    #expect(try ending(paging, commands) == undisturbed(paging, Dialogue.questions))
  }

  @Test(arguments: PagingKind.all)
  func `breakpoints of every kind change no cycle`(paging: PagingKind) throws {
    var commands = [
      "break fibonacci", "break count if $rdi > 1000", "tbreak store", "watch counter", "rwatch numbers",
      "awatch phys gpa(faults)", "catch exception", "catch exit", "catch cr", "catch invlpg", "catch table-write",
      "catch mode", "catch port", "catch msr", "catch syscall", "catch interrupt",
    ]
    for _ in 0..<400 { commands.append("continue") }
    #expect(try ending(paging, commands) == undisturbed(paging, Dialogue.questions))
  }

  @Test(arguments: PagingKind.all)
  func `going back and forth changes no cycle`(paging: PagingKind) throws {
    let commands = [
      "break store", "continue", "continue", "reverse-step 30", "reverse-next 5", "continue", "checkpoint",
      "reverse-continue", "goto-instruction 5000", "history counter", "watch counter", "continue", "continue",
      "reverse-continue", "restore", "history entry 0x8000001000", "diff 1", "goto-cycle 300000", "step 10",
    ]
    #expect(try ending(paging, commands) == undisturbed(paging, Dialogue.questions))
  }
}
