import Machine
import Support
import Testing

/// What a decoder knows and the processor does not.
struct UnsupportedTests {
  /// Finds the same instruction everywhere.
  private final class Decoder: InstructionDecoder {
    func decode(
      _ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize,
      into output: UnsafeMutablePointer<Operation>
    ) -> DecodeResult { .unsupported(mnemonic: "frob", length: 3) }

    func disassemble(_ bytes: UnsafePointer<UInt8>, count: Int, rip: UInt64, size: CodeSize) -> String? { "frob eax" }
  }

  @Test func `an unsupported instruction ends the run, named with its own bytes`() {
    let machine = TinyMachine(GuestMemory { map(0x1000, to: 0x1000) }, code: [0x8f, 0xe9, 0x78, 0x90], at: 0x1000)
    let processor = Processor(
      memory: machine.guest.host, bus: machine.bus, decoder: Decoder(), profile: .flat(), features: [],
      options: ProcessorOptions())
    processor.state = machine.processor.state
    processor.refresh()
    #expect(processor.run() == .unsupported("unsupported instruction: frob eax (bytes 8f e9 78) at RIP 0x1000"))
    #expect(processor.instructionsRetired == 0)
  }
}
