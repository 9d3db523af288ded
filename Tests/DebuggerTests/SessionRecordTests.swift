import Devices
import Emulator
import Machine
import Support
import Testing

@testable import Debugger

@Suite struct SessionRecordTests {
  /// A guest that sends back what it reads, and a line whose bytes come when the test says.
  private func session(_ paging: PagingKind = .native) throws -> (prompt: Prompt, line: BufferConsole, files: Files) {
    var configuration = try Configuration(pagings: [paging])
    configuration.memory = 32 << 20
    let line = BufferConsole(isOpen: true)
    let console = SessionConsole(source: line)
    let machine = try VirtualMachine(
      configuration, guest: GuestImage(name: "echo", bytes: EchoGuest.image), console: console)
    let files = Files()
    let prompt = Prompt(Session(machine, console: console)) { files.shown += $0 }
    prompt.readFile = { files.contents[$0] }
    prompt.writeFile = { path, text, _ in
      files.contents[path] = text
      return true
    }
    return (prompt, line, files)
  }

  private final class Files {
    var contents: [String: String] = [:]
    var shown = ""
  }

  @Test(arguments: PagingKind.all)
  func `what was saved is loaded in another session, what was typed with it`(paging: PagingKind) throws {
    let (first, line, files) = try session(paging)
    first.execute("ri 2000000")
    line.input = Array("ab".utf8)
    first.execute("ri 2000000")
    line.input += Array("c".utf8)
    first.execute("ri 1500003")
    first.execute("save there")
    let saved = try #require(files.contents["there"])
    #expect(saved.contains("\ninput "))

    let (second, _, other) = try session(paging)
    other.contents = files.contents
    second.execute("ri 10")
    second.execute("load there")
    #expect(second.session.moment == first.session.moment)
    #expect(second.session.machine.statistics == first.session.machine.statistics)
    #expect(second.session.processor.state.rip == first.session.processor.state.rip)
    // What is typed then comes behind it, and saving again tells all of it.
    second.execute("save again")
    #expect(other.contents["again"] == saved)
  }

  @Test func `a record of another machine is refused, and a changed machine has none`() throws {
    let (first, _, files) = try session()
    first.execute("ri 1000")
    first.execute("save there")
    let (second, _, other) = try session(.nested)
    other.contents = files.contents
    second.execute("load there")
    #expect(other.shown.contains("it is of another machine: set paging native, here set paging nested"))
    #expect(second.session.moment.instructions == 0)
    second.execute("load nowhere")
    #expect(other.shown.contains("cannot read nowhere"))
    first.execute("set $rax = 1")
    first.execute("save changed")
    #expect(files.contents["changed"] == nil)
  }

  @Test(
    arguments: [
      "", "x", "penumbra session 1\n", "penumbra session 1\nat 1 2\n", "penumbra session 1\nat 1 2 x\n",
      "penumbra session 1\nat 1 2 3\ninput 1 2 3\n", "penumbra session 1\nat 1 2 3\ninput 1 2 3 0\n",
      "penumbra session 1\nat 1 2 3\ninput\n", "penumbra session 1\nat 1 2 3\ninput 1 2 3 zz\n",
    ])
  func `what is no record is refused`(text: String) {
    #expect(throws: PromptError.self) { try SessionRecord(text) }
  }
}
