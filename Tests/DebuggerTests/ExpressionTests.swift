import Devices
import Emulator
import Machine
import Testing

@testable import Debugger

@Suite struct ExpressionTests {
  private func session() throws -> Session {
    var configuration = try Configuration(pagings: [.native])
    configuration.memory = 32 << 20
    let console = SessionConsole(source: BufferConsole())
    return Session(
      try VirtualMachine(configuration, guest: Dialogue.questions, console: console), console: console, history: 0)
  }

  @Test(
    arguments: [
      ("1 + 2 * 3", 7), ("(1 + 2) * 3", 9), ("10 - 2 - 3", 5), ("1 << 4 | 1", 17), ("0xff & ~0xf", 0xf0), ("-1", .max),
      ("!0", 1), ("5 == 5 && 3 < 2", 0), ("0 && 1 / 0", 0), ("1 || 1 / 0", 1), ("7 % 4", 3), ("0b101", 5),
      ("1_000", 1000),
      ("1 << 64", 0), ("6 ^ 3", 5), ("2 >= 2", 1), ("1 != 1", 0), ("100 >> 2 >> 1", 12), ("-1 < 1", 0),
      ("$rax == 0x2badb002", 1), ("eax & 0xff", 2), ("$al", 2), ("$ah", 0xb0), ("fibonacci == &fibonacci", 1),
      ("{u32} numbers", 3), ("*(numbers + 8)", 1), ("u16(numbers)", 3), ("p64(numbers)", 3), ("{p8} (numbers + 16)", 4),
      ("$zf", 0), ("$cpl", 0), ("mapped(0x1000)", 1), ("gpa(numbers) == numbers", 1), ("cost() == $cycles", 1),
      ("exits()", 0), ("tlb(numbers)", 0),
    ] as [(String, UInt64)])
  func `expressions have C's values`(text: String, value: UInt64) throws {
    #expect(try Expression(text).value(in: session()) == value)
  }

  @Test(arguments: ["", "1 +", "(1", "1)", "1 2", "{u9} 1", "0xzz", "f(", "1 = 2", "#", "\"a\""])
  func `what is no expression is refused`(text: String) {
    #expect(throws: Expression.Failure.self) { try Expression(text) }
  }

  @Test(arguments: ["nothing", "$nothing", "1 / 0", "1 % 0", "nosuch(1)", "cost(\"nosuch\")", "exits(1)", "gpa()"])
  func `what has no value says so`(text: String) throws {
    let session = try session()
    #expect(throws: Expression.Failure.self) { try Expression(text).value(in: session) }
  }

  @Test func `a deep expression is refused, not followed`() {
    #expect(throws: Expression.Failure.self) { try Expression(String(repeating: "(", count: 100_000)) }
    #expect(throws: Expression.Failure.self) { try Expression(String(repeating: "-", count: 100_000) + "1") }
  }
}

@Suite struct CommandTableTests {
  @Test(
    arguments: [
      ("source ", 7, ["folder/", "script", "scribble"]), ("source scr", 7, ["scribble", "script"]),
      ("  log folder/in", 13, ["inner"]), ("source /x/", 10, []), ("info fl", 5, ["flags"]), ("asser", 0, ["assert"]),
    ] as [(String, Int, [String])])
  func `completion goes by what the command takes`(text: String, start: Int, words: [String]) throws {
    var configuration = try Configuration(pagings: [.native])
    configuration.memory = 32 << 20
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(configuration, guest: Dialogue.questions, console: console)
    let prompt = Prompt(Session(machine, console: console, history: 0)) { _ in }
    prompt.listFolder = { ["folder/": ["inner"], ".": ["script", "scribble", "folder/"]][$0] ?? [] }
    let found = prompt.completions(of: text)
    #expect(found.start == start && found.words == words.sorted())
  }

  @Test func `no two commands have one name`() {
    let names = CommandTable.all.flatMap { [$0.name] + $0.aliases }
    #expect(Dictionary(grouping: names) { $0 }.filter { $1.count > 1 }.keys.sorted() == [])
  }

  @Test(arguments: CommandTable.all.map(\.name))
  func `every command is found by its names and has its help`(name: String) throws {
    let command = try #require(CommandTable.all.first { $0.name == name })
    #expect(!command.summary.isEmpty)
    for each in [command.name] + command.aliases {
      #expect(try CommandTable.find(Substring(each + " 1")).command.name == name)
    }
  }

  @Test(
    arguments: [
      ("s", "step"), ("c", "continue"), ("b", "break"), ("i r", "info registers"), ("info reg", "info registers"),
      ("tb", "tbreak"), ("bt", "backtrace"), ("rev", nil), ("info", nil), ("infox", nil), ("x/4gx 0", "x"),
      ("reverse-c", "reverse-continue"), ("disas", "disassemble"), ("wa", nil), ("wat", "watch"), ("", nil),
    ] as [(String, String?)])
  func `abbreviations are those that leave no doubt`(line: String, name: String?) {
    #expect((try? CommandTable.find(Substring(line)))?.command.name == name)
  }
}
