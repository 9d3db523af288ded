import Decoding
import Machine
import Testing

@Suite("Vector instructions are told from their bytes")
struct VectorLoweringTests {
  @Test func `operands and their addresses are those of other instructions`() {
    // addps (%r9,%r10,4), %xmm9 with a displacement, which MOV has too
    let vector = Decoded([0x47, 0x0f, 0x58, 0x4c, 0x91, 0x10])
    #expect(vector.callout == .vectorFloat && vector.form.shape == .rm && vector.form.width == 16)
    #expect(vector.last.dst == 9)
    let addresses: [([UInt8], CodeSize)] = [
      ([0x4c, 0x91, 0x10], .bits64), ([0x0d, 0x10, 0, 0, 0], .bits64), ([0x0c, 0x25, 0x10, 0, 0, 0], .bits64),
      ([0x4d, 0xf0], .bits64), ([0x0c, 0x24], .bits64), ([0x8f, 0, 1, 0, 0], .bits32), ([0x4a, 0xff], .bits16),
      ([0x0e, 0x34, 0x12], .bits16), ([0x4e, 0x80], .bits16), ([0x08], .bits16), ([0x0d, 0x10, 0, 0, 0], .bits32),
    ]
    for (modRM, size) in addresses {
      // MOV has an opcode of a byte less: the next instruction is where RIP-relative operands count from.
      let move = Decoded([0x8b] + modRM, size, rip: 0x1001)
      let vector = Decoded([0x0f, 0x28] + modRM, size, rip: 0x1000)
      #expect(vector.callout == .vectorMove && move.place == vector.place, "\(modRM)")
      #expect(vector.operations.count == move.operations.count && vector.length == modRM.count + 2)
      if let first = move.operations.first, let other = vector.operations.first, move.operations.count > 1 {
        #expect(Place(first) == Place(other) && first.n == other.n && first.imm == other.imm)
      }
    }
    let segment = Decoded([0x65, 0x66, 0x0f, 0x6f, 0x04, 0x88])
    #expect(segment.operations.count == 2 && segment.operations[0].handler == .address)
  }

  @Test func `F2 and F3 go before 66, and REX is seen behind them`() {
    #expect(Decoded([0x66, 0xf2, 0x44, 0x0f, 0x58, 0xc1]).form.width == 8)
    #expect(Decoded([0x66, 0xf2, 0x44, 0x0f, 0x58, 0xc1]).last.dst == 8)
    #expect(Decoded([0xf3, 0x66, 0x0f, 0x6f, 0xc1]).callout == .vectorMove)
    #expect(Decoded([0x66, 0x0f, 0x6e, 0xc1]).form.width == 4)
    #expect(Decoded([0x66, 0x48, 0x0f, 0x6e, 0xc1]).form.width == 8)
  }

  @Test func `stores and loads of one mnemonic have their operands the right way round`() {
    let store = Decoded([0x0f, 0x11, 0xca])
    #expect(store.last.dst == 2 && store.last.src == 1 && store.form.shape == .rr)
    let load = Decoded([0x0f, 0x10, 0xca])
    #expect(load.last.dst == 1 && load.last.src == 2)
    #expect(Decoded([0x0f, 0x29, 0x0f]).form.shape == .mr)
    let shift = Decoded([0x66, 0x41, 0x0f, 0x73, 0xfa, 0x81])
    #expect(shift.form.shape == .ri && shift.last.dst == 10 && shift.last.imm == 0x81)
  }

  @Test func `MMX is told by its want of a prefix, and what is nothing is undefined`() {
    #expect(Decoded([0x0f, 0x6f, 0xc8]).callout == .mmxMove && Decoded([0x0f, 0x6f, 0x08]).form.width == 8)
    #expect(Decoded([0x0f, 0x2a, 0xc8]).callout == .mmxConvert)
    #expect(Decoded([0x66, 0x0f, 0x2d, 0x08]).form.width == 16)
    #expect(Decoded([0x0f, 0x60, 0x08]).form.width == 4 && Decoded([0x0f, 0x68, 0x08]).form.width == 8)
    #expect(Decoded([0x0f, 0x38, 0x01, 0xca]).callout == .mmxInteger)
    #expect(Decoded([0x0f, 0x3a, 0x0f, 0xca, 3]).callout == .mmxShuffle)
    #expect(Decoded([0xf3, 0x0f, 0xd6, 0xca]).callout == .mmxMove)
    for none in [[0x0f, 0x6c, 0xca], [0x0f, 0x6d, 0xca], [0x0f, 0x73, 0xda, 1], [0x0f, 0x73, 0xfa, 1]] as [[UInt8]] {
      #expect(Decoded(none).result == .invalid, "\(none)")
    }
    for none in [[0x66, 0x0f, 0x77], [0x0f, 0xe7, 0xca], [0x0f, 0xd7, 0x08], [0xf3, 0x0f, 0xd6, 0x08]] as [[UInt8]] {
      #expect(Decoded(none).result == .invalid, "\(none)")
    }
    #expect(Decoded([0xf2, 0x0f, 0x6f, 0xc8]).result == .invalid)
    #expect(Decoded([0xf3, 0x0f, 0x54, 0xc8]).result == .invalid)
    #expect(Decoded([0xf3, 0x0f, 0xae, 0x27]).result == .invalid)
    #expect(Decoded([0x66, 0x0f, 0xae, 0x3f]).callout == .cacheLineFlush)
  }

  @Test func `both VEX prefixes name the same registers, and three of them`() {
    // vaddps %ymm10, %ymm3, %ymm9 needs three bytes; vaddps %ymm2, %ymm13, %ymm9 two.
    let long = Decoded([0xc4, 0x41, 0x64, 0x58, 0xca])
    #expect(long.callout == .vectorFloat && long.last.dst == 9 && long.last.src == 10)
    #expect(long.form.vector.first == 3 && long.form.vector.isVEX && long.form.vector.isWide)
    let short = Decoded([0xc5, 0x14, 0x58, 0xca])
    #expect(short.last.dst == 9 && short.last.src == 2 && short.form.vector.first == 13)
    let legacy = Decoded([0x0f, 0x58, 0xca])
    #expect(legacy.form.vector.first == 1 && !legacy.form.vector.isVEX)
    // vpslld $3, %xmm10, %xmm5: VEX.vvvv is the destination.
    let shift = Decoded([0xc4, 0xc1, 0x51, 0x72, 0xf2, 3])
    #expect(shift.form.shape == .ri && shift.last.dst == 5 && shift.form.vector.first == 10)
    // vblendvps %xmm12, %xmm2, %xmm3, %xmm1, in 32-bit code with register 4.
    let blend: [UInt8] = [0xc4, 0xe3, 0x61, 0x4a, 0xca, 0xcf]
    #expect(Decoded(blend).form.vector.mask == 12 && Decoded(blend, .bits32).form.vector.mask == 4)
    // vpgatherdd %xmm3, 0x10(%r15,%xmm12,8), %xmm1
    let gather = Decoded([0xc4, 0x82, 0x61, 0x90, 0x4c, 0xe7, 0x10])
    #expect(gather.last.src == 12 && gather.last.base == 15 && gather.last.index == Slot.zero)
    #expect(gather.last.scale == 3 && gather.last.disp == 0x10 && gather.form.vector.first == 3)
  }

  @Test func `the mnemonics of messages are Capstone's`() {
    let decoder = CapstoneDecoder()
    #expect(decoder.disassemble([0x0f, 0x58, 0xca], count: 3, rip: 0, size: .bits64) == "addps xmm1, xmm2")
  }
}
