import Decoding
import Machine
import Testing

@Suite("What Capstone 4.0.2 gets wrong")
struct CorrectionTests {
  @Test(
    "protection-key and serialising instructions are known by name",
    arguments: [
      ([0x0f, 0x01, 0xee], "rdpkru"), ([0x0f, 0x01, 0xef], "wrpkru"), ([0x0f, 0x01, 0xe8], "serialize"),
      ([0x0f, 0x38, 0xf9, 0x01], "movdiri"),
    ] as [([UInt8], String)])
  func names(bytes: [UInt8], name: String) {
    #expect(CapstoneDecoder().disassemble(bytes, count: bytes.count, rip: 0, size: .bits64) == name)
  }

  @Test func `RDPKRU and WRPKRU take no prefix`() {
    #expect(Decoded([0x0f, 0x01, 0xee]).callout == .readKeys)
    #expect(Decoded([0x0f, 0x01, 0xef]).callout == .writeKeys && Decoded([0x0f, 0x01, 0xef]).isTerminal)
    for prefix in [0x66, 0xf2, 0xf3, 0xf0] as [UInt8] {
      #expect(Decoded([prefix, 0x0f, 0x01, 0xee]).result == .invalid)
      #expect(Decoded([prefix, 0x0f, 0x01, 0xef]).result == .invalid)
    }
  }

  @Test func `RDPRU and virtual machine extensions are undefined`() {
    #expect(Decoded([0x0f, 0x01, 0xfd]).result == .invalid)
    #expect(Decoded([0x0f, 0x01, 0xc1]).result == .invalid)
    #expect(Decoded([0x66, 0x0f, 0x38, 0x80, 0x01]).result == .invalid)
  }

  @Test func `RDPID is not RDSEED`() {
    let identifier = Decoded([0xf3, 0x0f, 0xc7, 0xf9])
    #expect(identifier.callout == .readPID)
    #expect(identifier.last.dst == Slot.rcx)
    #expect(Decoded([0x0f, 0xc7, 0xf9]).callout == .readSeed)
    #expect(Decoded([0xf3, 0x0f, 0xc7, 0xf1]).result == .invalid)
  }

  @Test func `MOVSXD with an operand size of 16 bits moves 16 bits`() {
    #expect(Decoded([0x66, 0x63, 0xc1]).handler == .mergeRR16)
    #expect(Decoded([0x66, 0x63, 0x01]).handler == .loadMerge16)
  }

  @Test func `CLAC, STAC and XGETBV take no prefix`() {
    #expect(Decoded([0x0f, 0x01, 0xca]).callout == .clac)
    #expect(Decoded([0x0f, 0x01, 0xcb]).isTerminal)
    #expect(Decoded([0x66, 0x0f, 0x01, 0xcb]).result == .invalid)
    #expect(Decoded([0x0f, 0x01, 0xd0]).callout == .getXCR)
    #expect(Decoded([0xf3, 0x0f, 0x01, 0xd0]).result == .invalid)
  }

  @Test func `SWAPGS and the segment bases exist in 64-bit code only`() {
    #expect(Decoded([0x0f, 0x01, 0xf8]).callout == .swapGS)
    #expect(Decoded([0x0f, 0x01, 0xf8], .bits32).result == .invalid)
    #expect(Decoded([0xf3, 0x0f, 0xae, 0xc0], .bits32).result == .invalid)
    #expect(Decoded([0x0f, 0x01, 0xf9], .bits32).callout == .readTimeStampAux)
  }

  @Test func `reserved NOPs with a register are NOPs, RDSSP among them`() {
    #expect(Decoded([0xf3, 0x48, 0x0f, 0x1e, 0xc8]).handler == .nop)
    #expect(Decoded([0x0f, 0x1e, 0xc0]).handler == .nop)
    #expect(Decoded([0x0f, 0x19, 0xc0]).handler == .nop)
    #expect(Decoded([0x0f, 0x1a, 0x00]).handler == .nop)
  }

  @Test func `the vendor decides what 66 does to a near branch`() {
    let call: [UInt8] = [0x66, 0xe8, 0x00, 0x00, 0x10, 0x00]
    let intel = Decoded(call, vendor: .intel)
    #expect(intel.length == 6)
    #expect(intel.handler == .call64)
    #expect(intel.last.imm == 0x10_1006)
    let amd = Decoded(call, vendor: .amd)
    #expect(amd.length == 4)
    #expect(amd.callout == .callRelative)
    #expect(amd.form.width == 2)
    let jump: [UInt8] = [0x66, 0x0f, 0x84, 0x00, 0x00, 0x10, 0x00]
    #expect(Decoded(jump, vendor: .intel).last.imm == 0x10_1007)
    #expect(Decoded(jump, rip: 0x1_1000, vendor: .amd).last.imm == 0x1005)
    #expect(Decoded([0x66, 0xc3], vendor: .intel).handler == .ret64)
    #expect(Decoded([0x66, 0x48, 0xc2, 0x08, 0x00]).callout == .ret)
  }

  @Test(
    "LOCK where it is illegal is undefined",
    arguments: [
      [0xf0, 0x01, 0xc8], [0xf0, 0x8b, 0x00], [0xf0, 0x83, 0x38, 0x01], [0xf0, 0x90], [0xf0, 0x0f, 0xa3, 0x08],
      [0xf0, 0x0f, 0x1f, 0x00], [0xf0, 0xe8, 0, 0, 0, 0],
    ] as [[UInt8]])
  func illegalLock(bytes: [UInt8]) {
    #expect(Decoded(bytes).result == .invalid)
  }

  @Test func `UD0 and UD1 include their ModRM byte`() {
    #expect(Decoded([0x0f, 0x0b]).length == 2)
    #expect(Decoded([0x0f, 0xb9, 0x40, 0x08]).length == 4)
    #expect(Decoded([0x0f, 0xff, 0xc0]).length == 3)
    #expect(Decoded([0x0f, 0xff, 0xc0]).handler == .invalidOpcode)
  }

  @Test func `MOV with control registers ignores mod, and most registers don't exist`() {
    #expect(Decoded([0x0f, 0x22, 0x18]).length == 3)
    #expect(Decoded([0x0f, 0x22, 0x18]).form.extra == 3)
    #expect(Decoded([0x0f, 0x22, 0xe8]).result == .invalid)
    #expect(Decoded([0x44, 0x0f, 0x21, 0xc0]).result == .invalid)
  }

  @Test func `CS cannot be loaded, nor segment registers that don't exist`() {
    #expect(Decoded([0x8e, 0xc8]).result == .invalid)
    #expect(Decoded([0x8e, 0xf0]).result == .invalid)
    #expect(Decoded([0x8c, 0xc8]).callout == .movFromSegment)
  }

  @Test func `the fences ignore ModRM.rm`() {
    #expect(Decoded([0x0f, 0xae, 0xef]).callout == .fence)
    #expect(Decoded([0x0f, 0xae, 0xff]).form.extra == 1)
    #expect(Decoded([0xf3, 0x0f, 0xae, 0x38]).result == .invalid)
  }

  @Test func `CLWB with REX.W is no XSAVEOPT, and WBNOINVD no WBINVD`() {
    #expect(Decoded([0x66, 0x48, 0x0f, 0xae, 0x30]).form.extra == 2)
    #expect(Decoded([0xf3, 0x0f, 0x09]).form.extra == 2)
    #expect(Decoded([0x0f, 0x09]).form.extra == 1)
  }

  @Test func `NOP, PAUSE and XCHG share an opcode`() {
    #expect(Decoded([0x66, 0x90]).handler == .nop)
    #expect(Decoded([0x66, 0xf3, 0x90]).callout == .pause)
    #expect(Decoded([0x41, 0x90]).callout == .xchg)
  }

  @Test func `MOVSD is a string instruction or SSE's`() {
    #expect(Decoded([0xa5]).callout == .movs)
    #expect(Decoded([0xf2, 0x0f, 0x10, 0xc1]).callout == .vectorMove)
  }

  @Test func `a far branch has the size of its offset`() {
    #expect(Decoded([0xff, 0x28]).form.width == 4)
    #expect(Decoded([0x48, 0xff, 0x18]).form.width == 8)
    #expect(Decoded([0x48, 0xff, 0x18], vendor: .amd).form.width == 4)
    #expect(Decoded([0x66, 0xff, 0x28]).form.width == 2)
  }

  @Test func `a REX that is not last is ignored, and repeated prefixes count once`() {
    #expect(Decoded([0x48, 0x66, 0x89, 0xd8]).handler == .mergeRR16)
    #expect(Decoded([0x66, 0x66, 0x66, 0x89, 0xd8]).handler == .mergeRR16)
    let relative = Decoded([0x66, 0x66, 0x8b, 0x05, 0x10, 0, 0, 0])
    #expect(relative.length == 8)
    #expect(relative.place == Place(disp: 0x1018))
  }

  @Test func `AVX-512, XOP and SHA with a prefix are undefined`() {
    // VADDPS zmm; VPCMPB k; VFRCZPS; VPROTB.
    for bytes in [
      [0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc1], [0x62, 0xf3, 0x7d, 0x48, 0x3f, 0xc1, 0x00], [0x8f, 0xe9, 0x78, 0x80, 0xc1],
      [0x8f, 0xe8, 0x78, 0xc0, 0xc1, 0x01],
    ] as [[UInt8]] {
      for size in CodeSize.allCases { #expect(Decoded(bytes, size).result == .invalid) }
    }
    #expect(Decoded([0x0f, 0x38, 0xc8, 0xc1]).callout == .vectorCipher)
    #expect(Decoded([0x0f, 0x3a, 0xcc, 0xc1, 0x00]).callout == .vectorCipher)
    for prefix in [0x66, 0xf2, 0xf3] as [UInt8] {
      for opcode in 0xc8...0xcd as ClosedRange<UInt8> {
        #expect(Decoded([prefix, 0x0f, 0x38, opcode, 0xc1]).result == .invalid)
      }
      #expect(Decoded([prefix, 0x0f, 0x3a, 0xcc, 0xc1, 0x00]).result == .invalid)
    }
  }
}
