import Machine
import Testing

@Suite("Callouts")
struct CalloutTests {
  /// An instruction and its callout.
  struct Case: CustomTestStringConvertible, Sendable {
    var bytes: [UInt8]
    var callout: Callout
    var shape = OperandShape.none
    var width = 1
    var extra: UInt16 = 0
    var terminal = false
    var size = CodeSize.bits64

    var testDescription: String { "\(callout) in \(size)" }
  }

  static let plain = [
    Case(bytes: [0x88, 0xe8], callout: .mov, shape: .rr),
    Case(bytes: [0x66, 0x0f, 0xb6, 0xc0], callout: .movzx, shape: .rr, width: 2),
    Case(bytes: [0x0f, 0xbe, 0xc4], callout: .movsx, shape: .rr, width: 4),
    Case(bytes: [0x0f, 0x44, 0x03], callout: .cmovcc, shape: .rm, width: 4, extra: 4),
    Case(bytes: [0x0f, 0x95, 0x00], callout: .setcc, shape: .m, extra: 5),
    Case(bytes: [0x91], callout: .xchg, shape: .rr, width: 4),
    Case(bytes: [0x48, 0x0f, 0xc9], callout: .bswap, shape: .r, width: 8),
    Case(bytes: [0x99], callout: .convertToDX, width: 4),
    Case(bytes: [0x66, 0x01, 0xd8], callout: .add, shape: .rr, width: 2),
    Case(bytes: [0x85, 0x08], callout: .test, shape: .mr, width: 4),
    Case(bytes: [0xff, 0x08], callout: .dec, shape: .m, width: 4),
    Case(bytes: [0xf7, 0xeb], callout: .imulWide, shape: .r, width: 4),
    Case(bytes: [0x48, 0xf7, 0x33], callout: .div, shape: .m, width: 8),
    Case(bytes: [0x69, 0x03, 10, 0, 0, 0], callout: .imul, shape: .rmi, width: 4),
    Case(bytes: [0x0f, 0xa4, 0xd8, 0x05], callout: .shld, shape: .rri, width: 4),
    Case(bytes: [0x48, 0x0f, 0xbc, 0xc1], callout: .bsf, shape: .rr, width: 8),
    Case(bytes: [0xf3, 0x48, 0xa5], callout: .movs, width: 8, extra: Repetition.whileEqual.rawValue, terminal: true),
    Case(bytes: [0xf2, 0xae], callout: .scas, width: 1, extra: Repetition.whileNotEqual.rawValue, terminal: true),
    Case(bytes: [0xf2, 0xa4], callout: .movs, width: 1, extra: Repetition.whileEqual.rawValue, terminal: true),
    Case(bytes: [0xc8, 0x10, 0x00, 0x21], callout: .enter, shape: .i, width: 8, extra: 1),
    Case(bytes: [0x55], callout: .push, shape: .r, width: 4, size: .bits32),
    Case(bytes: [0x55], callout: .push, shape: .r, width: 2, size: .bits16),
    Case(bytes: [0x1e], callout: .push, width: 4, extra: 4, size: .bits32),
    Case(bytes: [0x0f, 0xae, 0xf0], callout: .fence, extra: 2),
    Case(bytes: [0x0f, 0xae, 0x38], callout: .cacheLineFlush, shape: .m),
    Case(bytes: [0xf3, 0x90], callout: .pause),
    Case(bytes: [0x0f, 0x00, 0xc8], callout: .storeTask, shape: .r, width: 4),
    Case(bytes: [0x8c, 0xd8], callout: .movFromSegment, shape: .r, width: 4, extra: 3),
    Case(bytes: [0x0f, 0x02, 0xc3], callout: .loadAccessRights, shape: .rr, width: 4),
  ]

  /// Bit manipulation and its like; of VEX-encoded ones the extra is the register of VEX.vvvv.
  static let extensions = [
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf2, 0xc1], callout: .andn, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0xe0, 0xf2, 0x01], callout: .andn, shape: .rm, width: 8, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0xe0, 0xf2, 0x01], callout: .andn, shape: .rm, width: 4, extra: 3, size: .bits32),
    Case(bytes: [0xc4, 0xc2, 0x20, 0xf2, 0xc1], callout: .andn, shape: .rr, width: 4, extra: 3, size: .bits32),
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf2, 0x00], callout: .andn, shape: .rm, width: 4, extra: 3, size: .bits16),
    Case(bytes: [0xc4, 0xe2, 0x20, 0xf7, 0xc1], callout: .bextr, shape: .rr, width: 4, extra: 11),
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf3, 0xd9], callout: .blsi, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf3, 0xd1], callout: .blsmsk, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf3, 0xc9], callout: .blsr, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x60, 0xf5, 0xc1], callout: .bzhi, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x62, 0xf5, 0xc1], callout: .pext, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x63, 0xf5, 0xc1], callout: .pdep, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x63, 0xf6, 0xc1], callout: .mulx, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x61, 0xf7, 0xc1], callout: .shlx, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x62, 0xf7, 0xc1], callout: .sarx, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe2, 0x63, 0xf7, 0xc1], callout: .shrx, shape: .rr, width: 4, extra: 3),
    Case(bytes: [0xc4, 0xe3, 0x7b, 0xf0, 0xc1, 0x07], callout: .rorx, shape: .rri, width: 4),
    Case(bytes: [0xc4, 0xe3, 0xfb, 0xf0, 0x01, 0x07], callout: .rorx, shape: .rmi, width: 8),
    Case(bytes: [0x66, 0x0f, 0x38, 0xf6, 0xc1], callout: .adcx, shape: .rr, width: 4),
    Case(bytes: [0x66, 0xf3, 0x48, 0x0f, 0x38, 0xf6, 0x01], callout: .adox, shape: .rm, width: 8),
    Case(bytes: [0x66, 0x0f, 0x38, 0xf6, 0xc1], callout: .adcx, shape: .rr, width: 4, size: .bits16),
    Case(bytes: [0x0f, 0x38, 0xf0, 0x01], callout: .movbe, shape: .rm, width: 4),
    Case(bytes: [0x66, 0x0f, 0x38, 0xf1, 0x01], callout: .movbe, shape: .mr, width: 2),
    Case(bytes: [0xf2, 0x66, 0x0f, 0x38, 0xf1, 0xc1], callout: .crc32, shape: .rr, width: 4),
    Case(bytes: [0xf2, 0x48, 0x0f, 0x38, 0xf0, 0xc1], callout: .crc32, shape: .rr, width: 8),
    Case(bytes: [0xf2, 0x0f, 0x38, 0xf1, 0xc1], callout: .crc32, shape: .rr, width: 4, size: .bits16),
    Case(bytes: [0xf3, 0x0f, 0xb8, 0xc1], callout: .popcnt, shape: .rr, width: 2, size: .bits16),
    Case(bytes: [0xf3, 0x66, 0x0f, 0xbc, 0x01], callout: .tzcnt, shape: .rm, width: 2),
    Case(bytes: [0x0f, 0x38, 0xf9, 0x01], callout: .moveDirect, shape: .mr, width: 4),
    Case(bytes: [0x66, 0x0f, 0xc7, 0xf1], callout: .readRandom, shape: .r, width: 2),
    Case(bytes: [0x49, 0x0f, 0xc7, 0xf9], callout: .readSeed, shape: .r, width: 8),
    Case(bytes: [0x37], callout: .aaa, size: .bits32),
    Case(bytes: [0x3f], callout: .aas, size: .bits16),
    Case(bytes: [0x27], callout: .daa, size: .bits32),
    Case(bytes: [0x2f], callout: .das, size: .bits32),
    Case(bytes: [0xd4, 0xff], callout: .aam, shape: .i, size: .bits32),
    Case(bytes: [0xd5, 0x0a], callout: .aad, shape: .i, size: .bits32),
    Case(bytes: [0x62, 0x01], callout: .bound, shape: .rm, width: 4, size: .bits32),
    Case(bytes: [0x62, 0x01], callout: .bound, shape: .rm, width: 2, size: .bits16),
    Case(bytes: [0x63, 0xc1], callout: .adjustPrivilege, shape: .rr, width: 2, size: .bits32),
    Case(bytes: [0x63, 0x01], callout: .adjustPrivilege, shape: .mr, width: 2, size: .bits32),
    Case(bytes: [0xd6], callout: .setALFromCarry, size: .bits32),
    Case(bytes: [0x0f, 0x33], callout: .readCounter, width: 4),
    Case(bytes: [0x0f, 0x01, 0xe8], callout: .serialize, terminal: true),
  ]

  @Test(
    "what wants no prefix, another form or another mode is undefined",
    arguments: [
      // VEX.L, a vvvv of RORX, an undefined /0 and a missing implied prefix.
      ([0xc4, 0xe2, 0x64, 0xf2, 0xc1], .bits64), ([0xc4, 0xe3, 0x63, 0xf0, 0xc1, 7], .bits64),
      ([0xc4, 0xe2, 0x60, 0xf3, 0xc1], .bits64), ([0xc4, 0xe2, 0x60, 0xf6, 0xc1], .bits64),
      // LOCK, 66, F2, F3 and REX before VEX.
      ([0xf0, 0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bits64), ([0x66, 0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bits64),
      ([0xf2, 0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bits64), ([0xf3, 0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bits32),
      ([0x48, 0xc4, 0xe2, 0x60, 0xf2, 0xc1], .bits64),
      // MOVBE and MOVDIRI between registers; F3 in front of MOVBE; ADCX without 66; a LOCK.
      ([0x0f, 0x38, 0xf0, 0xc1], .bits64), ([0x0f, 0x38, 0xf9, 0xc1], .bits64),
      ([0xf3, 0x0f, 0x38, 0xf0, 0x01], .bits64), ([0x0f, 0x38, 0xf6, 0xc1], .bits64),
      ([0xf2, 0x0f, 0x38, 0xf6, 0xc1], .bits64), ([0xf0, 0x0f, 0x38, 0xf1, 0x01], .bits64),
      ([0xf2, 0x0f, 0xc7, 0xf1], .bits64), ([0x0f, 0xc7, 0x31], .bits64),
      // Lost in 64-bit code.
      ([0x37], .bits64), ([0x3f], .bits64), ([0x27], .bits64), ([0x2f], .bits64), ([0xd4, 10], .bits64),
      ([0xd5, 10], .bits64), ([0xd6], .bits64), ([0xf0, 0x63, 0x01], .bits32),
    ] as [([UInt8], CodeSize)])
  func undefined(bytes: [UInt8], size: CodeSize) {
    #expect(Decoded(bytes, size).result == .invalid)
  }

  @Test func `operands are read from the bytes where Capstone is not asked`() {
    let based = Decoded([0xc4, 0x42, 0xe0, 0xf2, 0x4c, 0x98, 0xf0])
    #expect(based.last.dst == 9 && based.place == Place(base: 8, index: Slot.rbx, scale: 2, disp: -16))
    #expect(Decoded([0x0f, 0x38, 0xf0, 0x04, 0x25, 8, 0, 0, 0]).place == Place(disp: 8))
    #expect(Decoded([0x0f, 0x38, 0xf0, 0x05, 8, 0, 0, 0]).place == Place(disp: 0x1010))
    #expect(Decoded([0x4a, 0x0f, 0x38, 0xf1, 0x04, 0x65, 8, 0, 0, 0]).place == Place(index: 12, scale: 1, disp: 8))
    // crc32 eax, ah; with a REX prefix it is SPL.
    #expect(Decoded([0xf2, 0x0f, 0x38, 0xf0, 0xc4]).last.src == Slot.highByte)
    #expect(Decoded([0xf2, 0x40, 0x0f, 0x38, 0xf0, 0xc4]).last.src == Slot.rsp)
    // movbe ax, [bp + si + 2] in 16-bit code: SS.
    let pair = Decoded([0x0f, 0x38, 0xf0, 0x42, 0x02], .bits16)
    #expect(pair.form.segment == .ss && pair.operations.first?.base == Slot.rbp)
    #expect(pair.operations.first?.index == Slot.rsi && pair.operations.first?.disp == 2)
    #expect(Decoded([0x0f, 0x38, 0xf0, 0x06, 0x34, 0x12], .bits16).operations.first?.disp == 0x1234)
  }

  static let terminal = [
    Case(bytes: [0xe8, 0, 0, 0, 0], callout: .callRelative, shape: .i, width: 4, terminal: true, size: .bits32),
    Case(bytes: [0xff, 0xe0], callout: .jumpIndirect, shape: .r, width: 4, terminal: true, size: .bits32),
    Case(bytes: [0xc2, 0x08, 0x00], callout: .ret, shape: .i, width: 8, terminal: true),
    Case(bytes: [0xe2, 0xfe], callout: .loop, shape: .i, width: 8, terminal: true),
    Case(
      bytes: [0xea, 0x78, 0x56, 0x34, 0x12, 0x08, 0x00], callout: .jumpFar, shape: .i, width: 4, extra: 8,
      terminal: true, size: .bits32),
    Case(bytes: [0x48, 0xff, 0x28], callout: .jumpFar, shape: .m, width: 8, terminal: true),
    Case(bytes: [0x48, 0xcb], callout: .retFar, width: 8, terminal: true),
    Case(bytes: [0x48, 0xcf], callout: .interruptReturn, width: 8, terminal: true),
    Case(bytes: [0xcd, 0x80], callout: .interrupt, shape: .i, terminal: true),
    Case(bytes: [0x1f], callout: .pop, width: 4, extra: 4, terminal: true, size: .bits32),
    Case(bytes: [0x9d], callout: .popFlags, width: 8, terminal: true),
    Case(bytes: [0xfb], callout: .sti, terminal: true),
    Case(bytes: [0x0f, 0x05], callout: .sysCall, width: 8, terminal: true),
    Case(bytes: [0x48, 0x0f, 0x07], callout: .sysReturn, width: 8, terminal: true),
    Case(bytes: [0x0f, 0x22, 0xd8], callout: .movToControl, shape: .r, width: 8, extra: 3, terminal: true),
    Case(bytes: [0x44, 0x0f, 0x20, 0xc0], callout: .movFromControl, shape: .r, width: 8, extra: 8, terminal: true),
    Case(bytes: [0x0f, 0x23, 0xf8], callout: .movToDebug, shape: .r, width: 8, extra: 7, terminal: true),
    Case(bytes: [0x8e, 0xd8], callout: .movToSegment, shape: .r, width: 2, extra: 3, terminal: true),
    Case(bytes: [0x0f, 0xb2, 0x18], callout: .loadFarPointer, shape: .rm, width: 4, extra: 2, terminal: true),
    Case(bytes: [0x0f, 0x01, 0x10], callout: .loadGDT, shape: .m, width: 8, terminal: true),
    Case(bytes: [0x0f, 0x01, 0x18], callout: .loadIDT, shape: .m, width: 4, terminal: true, size: .bits32),
    Case(bytes: [0x0f, 0x01, 0x38], callout: .invalidatePage, shape: .m, terminal: true),
    Case(bytes: [0x66, 0x0f, 0x38, 0x82, 0x18], callout: .invalidatePCID, shape: .rm, width: 8, terminal: true),
    Case(bytes: [0x0f, 0xa2], callout: .cpuid, width: 4, terminal: true),
    Case(bytes: [0x0f, 0x30], callout: .writeMSR, width: 4, terminal: true),
    Case(bytes: [0xe4, 0x60], callout: .in, shape: .i, terminal: true),
    Case(bytes: [0xef], callout: .out, width: 4, terminal: true),
    Case(bytes: [0x66, 0x6f], callout: .outs, width: 2, terminal: true),
    Case(bytes: [0xf4], callout: .halt, width: 4, terminal: true),
    Case(
      bytes: [0xf3, 0x48, 0x0f, 0xae, 0xd8], callout: .writeFSGSBase, shape: .r, width: 8, extra: 5, terminal: true),
  ]

  @Test("an instruction becomes its callout with its form", arguments: plain + extensions + terminal)
  func forms(expected: Case) {
    let decoded = Decoded(expected.bytes, expected.size)
    #expect(decoded.callout == expected.callout)
    #expect(decoded.isTerminal == expected.terminal)
    #expect(decoded.form.shape == expected.shape)
    #expect(decoded.form.width == expected.width)
    #expect(decoded.form.extra == expected.extra)
    #expect(decoded.length == expected.bytes.count)
    #expect(Int(decoded.last.length) == expected.bytes.count)
  }

  @Test func `a locked form is a callout that costs a lock`() {
    let locked = Decoded([0xf0, 0x01, 0x08])
    #expect(locked.callout == .add)
    #expect(locked.form.isLocked)
    #expect(locked.cost == .locked)
    #expect(locked.last.src == Slot.rcx)
    let exchange = Decoded([0x87, 0x08])
    #expect(exchange.form.isLocked)
    #expect(exchange.form.shape == .mr)
    #expect(!Decoded([0x0f, 0xb1, 0x0e]).form.isLocked)
    #expect(Decoded([0xf0, 0x48, 0x0f, 0xc7, 0x0b]).callout == .cmpxchg16b)
  }

  @Test func `high-byte registers are marked, and a REX prefix makes them low ones`() {
    #expect(Decoded([0xb4, 0x80]).last.dst == Slot.highByte | 0)
    #expect(Decoded([0x88, 0xf8]).last.src == Slot.highByte | 3)
    #expect(Decoded([0x40, 0x88, 0xf8]).last.src == Slot.rdi)
  }

  @Test func `counts and bit numbers are masked, and CL is said in the form`() {
    let byCount = Decoded([0xd2, 0x20])
    #expect(byCount.callout == .shl)
    #expect(byCount.form.countInCL)
    #expect(byCount.form.shape == .m)
    #expect(Decoded([0xc0, 0xd0, 0x29]).last.imm == 9)
    #expect(Decoded([0x0f, 0xba, 0x28, 0x21]).last.imm == 1)
  }

  @Test func `string instructions name their source segment and address size`() {
    #expect(Decoded([0xa4], .bits32).form.segment == .ds)
    #expect(Decoded([0x65, 0xac]).form.segment == .gs)
    #expect(Decoded([0xac]).form.segment == nil)
    #expect(Decoded([0x67, 0xf3, 0xa4]).form.addressSize == .bits32)
    #expect(Decoded([0x67, 0xe3, 0x00]).form.addressSize == .bits32)
    #expect(Decoded([0xa4], .bits16).form.addressSize == .bits16)
  }
}
