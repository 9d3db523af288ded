import Devices
import Machine
import Testing

@testable import Emulator

/// What the message of a run that could not go on says.
@Suite struct OutcomeTests {
  /// A static ELF64 of a few instructions, which is loaded and entered at 0x200000.
  static func guest(_ code: [UInt8]) -> GuestImage {
    func number(_ value: UInt64, _ bytes: Int) -> [UInt8] {
      (0..<bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
    let base: UInt64 = 0x20_0000
    var image: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1] + Array(repeating: 0, count: 9)
    image += number(2, 2) + number(62, 2) + number(1, 4) + number(base, 8) + number(64, 8) + number(0, 8)
    image += number(0, 4) + number(64, 2) + number(56, 2) + number(1, 2) + number(64, 2) + number(0, 2) + number(0, 2)
    image += number(1, 4) + number(7, 4) + number(120, 8) + number(base, 8) + number(base, 8)
    image += number(UInt64(code.count), 8) + number(UInt64(code.count), 8) + number(8, 8)
    return GuestImage(name: "outcome", bytes: image + code)
  }

  static func outcome(_ code: [UInt8], _ paging: PagingKind) throws -> RunOutcome {
    var configuration = try Configuration(pagings: [paging])
    configuration.maxInstructions = 1000
    configuration.memory = 8 << 20
    return try VirtualMachine(configuration, guest: guest(code), console: BufferConsole()).run()
  }

  @Test("a triple fault names its instruction, the bytes, RIP and the exceptions that led to it", arguments: pagings)
  func tripleFault(paging: PagingKind) throws {
    // lidt [rip + 2]; ud2; and a table of no length.
    let code: [UInt8] = [0x0f, 0x01, 0x1d, 0x02, 0, 0, 0, 0x0f, 0x0b] + Array(repeating: 0, count: 10)
    let outcome = try Self.outcome(code, paging)
    #expect(
      outcome.message
        == "triple fault: ud2 (bytes 0f 0b) at RIP 0x200007; last exceptions: #UD at RIP 0x200007, "
        + "#GP(0x33) at RIP 0x200007, #GP(0x6b) at RIP 0x200007, #DF(0x0) at RIP 0x200007, "
        + "#GP(0x43) at RIP 0x200007")
    #expect(outcome.exitStatus == 2)
  }

  @Test("a triple fault tells the page faults with their addresses", arguments: pagings)
  func tripleFaultOfPages(paging: PagingKind) throws {
    // lidt [rip + 13]; mov rbx, 0xffff800000000000; mov eax, [rbx]; hlt: an IDT that nothing maps, and a load from
    // nothing.
    let code: [UInt8] =
      [0x0f, 0x01, 0x1d, 0x0d, 0, 0, 0]
      + [0x48, 0xbb, 0, 0, 0, 0, 0, 0x80, 0xff, 0xff, 0x8b, 0x03, 0xf4]
      + [0xff, 0x0f, 0, 0, 0, 0, 0x01, 0x80, 0xff, 0xff]
    let message = try Self.outcome(code, paging).message
    let instruction = "mov eax, dword ptr [rbx] (bytes 8b 03) at RIP 0x200011"
    #expect(message.hasPrefix("triple fault: \(instruction); last exceptions: "), "\(message)")
    #expect(
      message.hasSuffix(
        "#PF(0x0) at 0xffff800000000000 at RIP 0x200011, #PF(0x0) at 0xffff8001000000e0 at RIP 0x200011, "
          + "#DF(0x0) at RIP 0x200011, #PF(0x0) at 0xffff800100000080 at RIP 0x200011"), "\(message)")
    #expect(!message.contains("\n"))
  }

  static let pagings: [PagingKind] = PagingKind.all
}
