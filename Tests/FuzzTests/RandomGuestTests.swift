import Foundation
import Support
import Testing

@Suite struct RandomGuestTests {
  /// Bytes that are made from a seed, the same in every run.
  private func bytes(seed: UInt64) -> [UInt8] {
    var generator = RepeatableRandom(seed: seed)
    var bytes: [UInt8] = []
    for _ in 0..<400 { bytes += Self.instruction(&generator) }
    // The first byte chooses mode and tables.
    bytes[0] = UInt8(truncatingIfNeeded: seed)
    return bytes
  }

  /// Something that looks like an instruction more often than random bytes do: few prefixes, small displacements.
  private static func instruction(_ generator: inout RepeatableRandom) -> [UInt8] {
    var bytes: [UInt8] = []
    let prefixes: [UInt8] = [0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x48, 0x4f, 0x41, 0x64, 0x36]
    while Int.random(in: 0..<4, using: &generator) == 0 {
      bytes.append(prefixes[Int.random(in: 0..<prefixes.count, using: &generator)])
    }
    if Bool.random(using: &generator) { bytes.append(0x0f) }
    bytes.append(UInt8.random(in: 0...255, using: &generator))
    bytes.append(UInt8.random(in: 0...255, using: &generator))
    for _ in 0..<Int.random(in: 0..<5, using: &generator) { bytes.append(UInt8.random(in: 0..<64, using: &generator)) }
    return bytes
  }

  /// The testing library looks at the stack whenever something is thrown, which makes a guest's faults a hundred times
  /// as slow as they are: few rounds here, many by `make fuzz`.
  private static let rounds: UInt64 = 9
  private static let parts: UInt64 = 8
  /// Guests that are compared under all kinds of paging: GUESTS of the environment, or as many as elsewhere.
  private static let compared =
    ProcessInfo.processInfo.environment["GUESTS"].flatMap(UInt64.init).map { ($0 + parts - 1) / parts } ?? rounds

  @Test(arguments: 0..<parts)
  func `arbitrary code never traps the emulator and does the same in blocks of any length`(part: UInt64) throws {
    var executed: UInt64 = 0
    for round in 0..<Self.rounds {
      let seed = round * Self.parts + part
      let guest = RandomGuest(bytes(seed: seed))
      executed += try check(guest, "seed \(seed)")
    }
    // A guest that never gets anywhere tests nothing.
    #expect(executed > Self.rounds * 500)
  }

  @Test func `what the fuzzer found stays mended`() throws {
    let found = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "Fuzz/Found/guest")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: found.path)) ?? []
    for name in names.sorted() {
      _ = try check(RandomGuest([UInt8](try Data(contentsOf: found.appending(path: name)))), name)
    }
  }

  @Test(arguments: 0..<parts)
  func `arbitrary code under a hypervisor traps nothing and breaks no invariant`(part: UInt64) throws {
    var executed: UInt64 = 0
    for round in 0..<Self.rounds / 2 {
      for kind in RandomGuest.Kind.allCases where kind != .native {
        executed += try RandomGuest(bytes(seed: round * Self.parts + part)).run(instructions: 1_000, kind: kind).retired
      }
    }
    #expect(executed > 500)
  }

  /// Nothing is said of a guest from the instruction on that overwrites what it needs itself (`FirstDifference`).
  @Test(arguments: 0..<parts)
  func `arbitrary code cannot tell how its memory is virtualised`(part: UInt64) throws {
    var (compared, excepted) = (0, 0)
    for round in 0..<Self.compared {
      let seed = round * Self.parts + part
      let guest = RandomGuest(bytes(seed: seed))
      let native = try guest.run(instructions: 1_000, comparable: true)
      guard native.architecture != nil else { continue }
      for kind in RandomGuest.Kind.allCases where kind != .native {
        let other = try guest.run(instructions: 1_000, kind: kind, comparable: true)
        guard other.architecture != nil else { continue }
        compared += 1
        guard let difference = RandomGuest.difference(native, other) else { continue }
        if try FirstDifference(guest, under: kind, within: 1_000).overwritesWhatItNeeds() {
          excepted += 1
        } else {
          Issue.record("seed \(seed), native against \(kind): \(difference)")
        }
      }
    }
    #expect(compared > 20 * excepted)
  }

  /// Runs a guest in long blocks and in blocks of one instruction.
  ///
  /// - Returns: how many instructions it executed.
  private func check(_ guest: RandomGuest, _ name: String) throws -> UInt64 {
    let whole = try guest.run(instructions: 3_000)
    let single = try guest.run(instructions: 3_000, blockLength: 1)
    if whole != single { Issue.record("\(name): \(RandomGuest.difference(whole, single))") }
    return whole.retired
  }
}
