import Foundation
import Testing

@testable import penumbra

/// A pipe whose ends are closed when it goes.
private final class TestPipe {
  let reading: Int32
  private(set) var writing: Int32

  init() {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    (reading, writing) = (ends[0], ends[1])
  }

  func write(_ text: String) { #expect(Diagnostics.writeBytes(Array(text.utf8), to: writing)) }

  func closeWriting() {
    close(writing)
    writing = -1
  }

  /// What was written so far.
  func contents() -> String {
    var bytes = [UInt8](repeating: 0, count: 4096)
    var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
    guard poll(&request, 1, 0) > 0 else { return "" }
    return String(decoding: bytes[..<max(read(reading, &bytes, bytes.count), 0)], as: UTF8.self)
  }

  deinit {
    close(reading)
    if writing >= 0 { close(writing) }
  }
}

@Suite struct HostInputTests {
  @Test("a pipe that ends is read to its end, and may be read again from any place")
  func endingPipe() {
    let pipe = TestPipe()
    pipe.write("abc")
    pipe.closeWriting()
    let input = HostInput(pipe.reading)
    #expect(!input.isExhausted(at: 0))
    #expect((0..<4).map { input.byte(at: $0) } == [97, 98, 99, nil])
    #expect(input.isExhausted(at: 3) && !input.isExhausted(at: 2))
    #expect(input.byte(at: 1) == 98)
    #expect(!input.isLive)
  }

  @Test("a pipe is waited for, however long it is silent", .timeLimit(.minutes(1)))
  func slowPipe() {
    let pipe = TestPipe()
    let writing = pipe.writing
    Thread.detachNewThread {
      usleep(600_000)
      _ = Diagnostics.writeBytes([65], to: writing)
    }
    let input = HostInput(pipe.reading)
    var waits = 0
    input.beforeWaiting = { waits += 1 }
    #expect(input.byte(at: 0) == 65)
    #expect(!input.isLive && waits == 1)
    #expect(input.byte(at: 0) == 65 && waits == 1, "nobody waits for what is there")
  }

  @Test("waiting ends when somebody wants to stop, and a person is told once that it is long", .timeLimit(.minutes(1)))
  func stopped() {
    let pipe = TestPipe()
    var looks = 0
    let input = HostInput(
      pipe.reading,
      isInterrupted: {
        looks += 1
        return looks > 25
      })
    var notices = 0
    input.whenWaitIsLong = { notices += 1 }
    #expect(input.byte(at: 0) == nil)
    #expect(!input.isExhausted(at: 0))
    #expect(looks == 26 && notices == 1)
  }

  @Test("a closed stream is at its end")
  func closedStream() {
    let input = HostInput(9999)
    #expect(input.byte(at: 0) == nil)
    #expect(input.isExhausted(at: 0))
  }
}

@Suite struct HostConsoleTests {
  private func ended() -> HostInput {
    let pipe = TestPipe()
    pipe.closeWriting()
    let input = HostInput(pipe.reading)
    _ = input.byte(at: 0)
    return input
  }

  @Test("output is passed on at the end of a line, and the rest when it is flushed")
  func lines() {
    let pipe = TestPipe()
    let console = HostConsole(input: ended(), output: pipe.writing)
    for (index, byte) in "one\ntwo".utf8.enumerated() { console.write(byte, at: index) }
    #expect(pipe.contents() == "one\n")
    #expect(!console.isAtLineStart)
    console.flush()
    #expect(pipe.contents() == "two")
  }

  @Test("a machine that went back to a snapshot does not show its output twice")
  func restored() {
    let pipe = TestPipe()
    let console = HostConsole(input: ended(), output: pipe.writing)
    for (index, byte) in "abc".utf8.enumerated() { console.write(byte, at: index) }
    for (index, byte) in "bcd\n".utf8.enumerated() { console.write(byte, at: index + 1) }
    #expect(pipe.contents() == "abcd\n")
  }

  @Test("a prompt is shown before input is waited for", .timeLimit(.minutes(1)))
  func prompt() {
    let quiet = TestPipe()
    let pipe = TestPipe()
    var shown = ""
    let input = HostInput(
      quiet.reading,
      isInterrupted: {
        shown = pipe.contents()
        return true
      })
    let console = HostConsole(input: input, output: pipe.writing)
    console.write(UInt8(ascii: ">"), at: 0)
    #expect(console.waits && console.byte(at: 0) == nil)
    #expect(shown == ">")
  }

  @Test("what is shown is announced, so that a progress line can go away")
  func announced() {
    let pipe = TestPipe()
    let console = HostConsole(input: ended(), output: pipe.writing)
    var announcements = 0
    console.beforeOutput = { announcements += 1 }
    console.flush()
    console.write(10, at: 0)
    #expect(announcements == 1)
  }
}
