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

  @Test("an instruction becomes its callout with its form", arguments: plain + terminal)
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
