import Devices
import Emulator
import Machine
import Testing

@testable import Debugger

@Suite struct ScreenTests {
  private func prompt(_ paging: PagingKind, _ size: (Int, Int)?) throws -> (Prompt, () -> String) {
    let configuration = try Configuration(pagings: [paging])
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(configuration, guest: try GuestImage.find("hello"), console: console)
    let shown = Shown()
    let prompt = Prompt(Session(machine, console: console)) { shown.text += $0 }
    prompt.screenSize = { size.map { (columns: $0.0, rows: $0.1) } }
    return (
      prompt,
      {
        defer { shown.text = "" }
        return shown.text
      }
    )
  }

  private final class Shown { var text = "" }

  /// The view that was drawn last, by lines.
  private func view(_ text: String) throws -> [String] {
    let drawn = try #require(text.split(separator: Screen.clear, omittingEmptySubsequences: false).last)
    return drawn.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  @Test(arguments: [(80, 24), (132, 50)], ["native", "shadow:trace", "nested"])
  func `the view fits its terminal, with everything in its place`(size: (Int, Int), kind: String) throws {
    let (prompt, shown) = try prompt(try PagingKind.list(kind)[0], size)
    prompt.execute("run-instructions 20000")
    _ = shown()
    prompt.execute("layout")
    let lines = try view(shown())
    // What is below is the line that is typed.
    #expect(lines.count <= size.1)
    #expect(lines.allSatisfy { $0.count <= size.0 })
    let text = lines.joined(separator: "\n")
    for part in [
      "rax ", "r15 ", "cr3 ", "-- code", "=> 0x", "-- cycles", "execute", "-- walk of rip", "PML4E", "-- console",
    ] {
      #expect(text.contains(part), "\(part)")
    }
  }

  @Test func `a step draws the view anew, and what the guest writes stands in it`() throws {
    let (prompt, shown) = try prompt(.native, (80, 24))
    prompt.execute("layout on")
    let first = shown()
    prompt.execute("step")
    #expect(try view(first) != view(shown()))
    prompt.execute("continue")
    let end = shown()
    #expect(try view(end).contains { $0.hasPrefix("mode: long mode") })
    #expect(end.contains("The guest has ended"))
  }

  @Test func `the walk is of the address that was asked for`() throws {
    let (prompt, shown) = try prompt(.nested, (100, 30))
    prompt.execute("run-instructions 20000")
    prompt.execute("layout rsp + 8")
    #expect(try view(shown()).contains { $0.hasPrefix("-- walk of rsp + 8 = 0x") })
    prompt.execute("layout off")
    _ = shown()
    prompt.execute("print 1")
    #expect(shown() == "0x1  1\n")
  }

  @Test(arguments: [nil, (79, 24), (80, 23)] as [(Int, Int)?])
  func `without a terminal, or on a small one, there is no view`(size: (Int, Int)?) throws {
    let (prompt, shown) = try prompt(.native, size)
    prompt.execute("layout")
    #expect(shown().hasPrefix("the view wants"))
    prompt.execute("refresh")
    #expect(shown().contains("there is no view"))
  }

  @Test func `control characters of the guest do not reach the terminal`() {
    #expect(ScreenText.fit("a\u{1b}[2Jb", 8) == "a.[2Jb  ")
    #expect(ScreenText.fit("abcdef", 4) == "abc~")
  }
}
