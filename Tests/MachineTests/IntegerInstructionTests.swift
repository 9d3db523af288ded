import Machine
import Support
import Testing

/// The corners of the integer instructions, one row each: what silicon does where it is easy to do otherwise.
struct IntegerInstructionTests {
  struct Row: CustomTestStringConvertible, Sendable {
    var name: String
    var code: [UInt8]
    var before: [UInt8: UInt64]
    var after: [UInt8: UInt64]
    var flagsBefore: UInt64 = 0
    /// Of the six arithmetic flags.
    var flags: UInt64
    /// Flags that the manual leaves undefined.
    var undefined: UInt64 = 0
    var testDescription: String { name }

    init(
      _ name: String, _ code: [UInt8], _ before: [UInt8: UInt64], _ after: [UInt8: UInt64], was: UInt64 = 0,
      _ flags: UInt64, except undefined: UInt64 = 0
    ) {
      self.name = name
      self.code = code
      self.before = before
      self.after = after
      flagsBefore = was
      self.flags = flags
      self.undefined = undefined
    }
  }

  private static let c = Flag.carry, p = Flag.parity, a = Flag.adjust, z = Flag.zero, s = Flag.sign, o = Flag.overflow
  private static let rax = Slot.rax, rcx = Slot.rcx, rdx = Slot.rdx, rbx = Slot.rbx
  private static let top: UInt64 = 1 << 63

  static let arithmetic: [Row] = [
    Row("add al, bl carries", [0x00, 0xd8], [rax: 0x12ff, rbx: 1], [rax: 0x1200], c | p | a | z),
    Row("add al, bl overflows", [0x00, 0xd8], [rax: 0x7f, rbx: 1], [rax: 0x80], a | s | o),
    Row("add ah, bl leaves al", [0x00, 0xdc], [rax: 0xff80, rbx: 1], [rax: 0x0080], c | p | a | z),
    Row("add eax, ebx clears the upper half", [0x01, 0xd8], [rax: .max, rbx: 1], [rax: 0], c | p | a | z),
    Row("add ax, bx keeps the upper half", [0x66, 0x01, 0xd8], [rax: .max, rbx: 1], [rax: .max << 16], c | p | a | z),
    Row("adc rax, rbx of all ones and a carry", [0x48, 0x11, 0xd8], [rax: 5, rbx: .max], [rax: 5], was: c, c | p | a),
    Row("adc al, bl of 0x7f and a carry", [0x10, 0xd8], [rax: 0x7f, rbx: 0], [rax: 0x80], was: c, a | s | o),
    Row("sub rax, rbx borrows", [0x48, 0x29, 0xd8], [rax: 0, rbx: 1], [rax: .max], c | p | a | s),
    Row("sub eax, ebx overflows", [0x29, 0xd8], [rax: 0x8000_0000, rbx: 1], [rax: 0x7fff_ffff], p | a | o),
    Row("sbb rax, rax spreads the carry", [0x48, 0x19, 0xc0], [rax: 77], [rax: .max], was: c, c | p | a | s),
    Row("sbb al, bl of all ones and a borrow", [0x18, 0xd8], [rax: 9, rbx: 0xff], [rax: 9], was: c, c | p | a),
    Row("cmp eax, ebx writes nothing", [0x39, 0xd8], [rax: top | 3, rbx: 3], [rax: top | 3], p | z),
    Row("inc al keeps the carry", [0xfe, 0xc0], [rax: 0xff], [rax: 0], was: c, c | p | a | z),
    Row("inc eax overflows", [0xff, 0xc0], [rax: 0x7fff_ffff], [rax: 0x8000_0000], p | a | s | o),
    Row(
      "dec rax overflows and keeps the carry", [0x48, 0xff, 0xc8], [rax: top], [rax: top - 1], was: c, c | p | a | o),
    Row("neg of 0", [0xf7, 0xd8], [rax: 0], [rax: 0], p | z),
    Row("neg of the least", [0x48, 0xf7, 0xd8], [rax: top], [rax: top], c | p | s | o),
    Row("not writes no flag", [0xf7, 0xd0], [rax: 0], [rax: 0xffff_ffff], was: c | z | o, c | z | o),
    Row("xadd al, al doubles", [0x0f, 0xc0, 0xc0], [rax: 0x80], [rax: 0], c | p | z | o),
    Row("xadd rbx, rax", [0x48, 0x0f, 0xc1, 0xc3], [rax: 2, rbx: 3], [rax: 3, rbx: 5], p),
    Row("and clears carry and overflow", [0x21, 0xd8], [rax: 0xf0, rbx: 0x0f], [rax: 0], was: c | o, p | z),
    Row("xor of itself", [0x31, 0xc0], [rax: top | 5], [rax: 0], was: c | o | s, p | z),
  ]

  static let multiplication: [Row] = [
    Row("mul of 8 bits", [0xf6, 0xe3], [rax: 0xff, rbx: 0xff], [rax: 0xfe01], c | o, except: p | a | z | s),
    Row("mul that fits", [0xf7, 0xe3], [rax: 3, rbx: 5, rdx: 9], [rax: 15, rdx: 0], 0, except: p | a | z | s),
    Row(
      "mul of 64 bits", [0x48, 0xf7, 0xe3], [rax: .max, rbx: .max], [rax: 1, rdx: .max - 1], c | o,
      except: p | a | z | s),
    Row(
      "imul of one operand, negative", [0x48, 0xf7, 0xeb], [rax: .max, rbx: 7], [rax: 0 &- 7, rdx: .max], 0,
      except: p | a | z | s),
    Row(
      "imul eax, ebx that overflows", [0x0f, 0xaf, 0xc3], [rax: 0x10000, rbx: 0x8000], [rax: 0x8000_0000], c | o,
      except: p | a | z | s),
    Row(
      "imul ax, bx, -1", [0x66, 0x6b, 0xc3, 0xff], [rax: 0, rbx: 0x8000], [rax: 0x8000], c | o, except: p | a | z | s),
    Row(
      "imul rax, rbx, imm", [0x48, 0x69, 0xc3, 0xff, 0xff, 0xff, 0xff], [rbx: 9], [rax: 0 &- 9], 0,
      except: p | a | z | s),
    Row(
      "div of 128 bits", [0x48, 0xf7, 0xf3], [rax: 5, rdx: 1, rbx: 2], [rax: top | 2, rdx: 1], 0,
      except: c | p | a | z | s | o),
    Row(
      "idiv rounds to zero", [0xf7, 0xfb], [rax: 0xffff_fff9, rdx: 0xffff_ffff, rbx: 2],
      [rax: 0xffff_fffd, rdx: 0xffff_ffff], 0, except: c | p | a | z | s | o),
    Row("div of 8 bits", [0xf6, 0xf3], [rax: 0x1_0101, rbx: 2], [rax: 0x1_0180], 0, except: c | p | a | z | s | o),
  ]

  static let shifts: [Row] = [
    Row("shl by 0 leaves the flags", [0xd3, 0xe0], [rax: 5, rcx: 0x20], [rax: 5], was: c | o | z, c | o | z),
    Row("shl al, 1", [0xd0, 0xe0], [rax: 0x81], [rax: 0x02], c | o, except: a),
    Row("shl rax, 63", [0x48, 0xc1, 0xe0, 0x3f], [rax: 3], [rax: top], c | p | s, except: a | o),
    Row("shl al, 9 by CL", [0xd2, 0xe0], [rax: 0xff, rcx: 9], [rax: 0], p | z, except: a | c | o),
    Row("shr eax, 1 of the sign", [0xd1, 0xe8], [rax: 0x8000_0001], [rax: 0x4000_0000], c | p | o, except: a),
    Row("sar eax, 31", [0xc1, 0xf8, 0x1f], [rax: 0x8000_0000], [rax: 0xffff_ffff], p | s, except: a | o),
    Row("sar al, 1 never overflows", [0xd0, 0xf8], [rax: 0x81], [rax: 0xc0], was: o, c | p | s, except: a),
    Row("rol al, 1", [0xd0, 0xc0], [rax: 0x80], [rax: 0x01], was: z | p, c | o | z | p),
    Row("rol al, 8 keeps the value, sets the carry", [0xc0, 0xc0, 0x08], [rax: 0x81], [rax: 0x81], c, except: o),
    Row("rol eax by 32 changes nothing", [0xc1, 0xc0, 0x20], [rax: 3], [rax: 3], was: o, o),
    Row("ror eax, 1", [0xd1, 0xc8], [rax: 1], [rax: 0x8000_0000], c | o),
    Row("rcl al, 1 takes the carry in", [0xd0, 0xd0], [rax: 0x80], [rax: 0x01], was: c, c | o),
    Row("rcl al by 9 comes round", [0xc0, 0xd0, 0x09], [rax: 0x5a], [rax: 0x5a], was: c, c, except: o),
    Row("rcr rax, 1", [0x48, 0xd1, 0xd8], [rax: 2], [rax: top | 1], was: c, o),
    Row(
      "shld eax, ebx, 4", [0x0f, 0xa4, 0xd8, 0x04], [rax: 0x1234_5678, rbx: 0x9abc_def0], [rax: 0x2345_6789], c,
      except: a | o),
    Row(
      "shrd rax, rbx, 8", [0x48, 0x0f, 0xac, 0xd8, 0x08], [rax: 0x80, rbx: 0x7f], [rax: 0x7f << 56], c | p,
      except: a | o),
  ]

  static let bits: [Row] = [
    Row("bt eax, ebx beyond the width", [0x0f, 0xa3, 0xd8], [rax: 4, rbx: 34], [rax: 4], was: z, c | z),
    Row("bts rax, 63", [0x48, 0x0f, 0xba, 0xe8, 0x3f], [rax: 0], [rax: top], 0),
    Row("btr rax, 63", [0x48, 0x0f, 0xba, 0xf0, 0x3f], [rax: top | 1], [rax: 1], c),
    Row("btc eax, 0 clears the upper half", [0x0f, 0xba, 0xf8, 0x00], [rax: top], [rax: 1], 0),
    Row(
      "bsf of 0 keeps the destination", [0x48, 0x0f, 0xbc, 0xc3], [rax: 77, rbx: 0], [rax: 77], z,
      except: c | p | a | s | o),
    Row("bsr", [0x48, 0x0f, 0xbd, 0xc3], [rbx: top | 1], [rax: 63], 0, except: c | p | a | s | o),
    Row("lzcnt of 0", [0xf3, 0x0f, 0xbd, 0xc3], [rbx: 0], [rax: 32], c, except: p | a | s | o),
    Row(
      "lzcnt of the top bit", [0xf3, 0x48, 0x0f, 0xbd, 0xc3], [rax: 5, rbx: top], [rax: 0], z, except: p | a | s | o),
    Row("popcnt", [0xf3, 0x48, 0x0f, 0xb8, 0xc3], [rbx: .max], [rax: 64], was: c | o | s, 0),
    Row("bswap rax", [0x48, 0x0f, 0xc8], [rax: 0x0102_0304_0506_0708], [rax: 0x0807_0605_0403_0201], was: c, c),
    Row("bswap eax", [0x0f, 0xc8], [rax: top | 0x0102_0304], [rax: 0x0403_0201], 0),
  ]

  static let moves: [Row] = [
    Row("mov ah, bl", [0x88, 0xdc], [rax: 0x1111, rbx: 0x22], [rax: 0x2211], 0),
    Row("mov al with REX is sil, not dh", [0x40, 0x88, 0xf0], [rax: 0, rdx: 0xff00, Slot.rsi: 0x12], [rax: 0x12], 0),
    Row("movzx eax, bh", [0x0f, 0xb6, 0xc7], [rax: .max, rbx: 0xab00], [rax: 0xab], 0),
    Row("movsx rax, bl", [0x48, 0x0f, 0xbe, 0xc3], [rbx: 0x80], [rax: 0 &- 128], 0),
    Row("movsxd rax, ebx", [0x48, 0x63, 0xc3], [rbx: 0x8000_0000], [rax: .max << 31], 0),
    Row("mov eax, eax clears the upper half", [0x89, 0xc0], [rax: .max], [rax: 0xffff_ffff], 0),
    Row(
      "cmovne eax, ebx not taken clears it too", [0x0f, 0x45, 0xc3], [rax: .max, rbx: 1], [rax: 0xffff_ffff],
      was: z, z),
    Row("setp al", [0x0f, 0x9a, 0xc0], [rax: 0xff00], [rax: 0xff01], was: p, p),
    Row("cbw", [0x66, 0x98], [rax: 0x80], [rax: 0xff80], 0),
    Row("cdqe", [0x48, 0x98], [rax: 0x8000_0000], [rax: .max << 31], 0),
    Row("cwd", [0x66, 0x99], [rax: 0x8000, rdx: 0x1_0000], [rdx: 0x1_ffff], 0),
    Row("cqo", [0x48, 0x99], [rax: top], [rdx: .max], 0),
    Row("xchg eax, ebx clears both", [0x93], [rax: top | 1, rbx: top | 2], [rax: 2, rbx: 1], 0),
    Row("lahf", [0x9f], [rax: 0], [rax: 0xd700], was: c | p | a | z | s, c | p | a | z | s),
    Row("sahf leaves overflow", [0x9e], [rax: 0x0100], [rax: 0x0100], was: o | z, c | o),
    Row("lea of 32 bits wraps", [0x67, 0x48, 0x8d, 0x04, 0x18], [rax: 0xffff_ffff, rbx: 2], [rax: 1], 0),
    Row("cmpxchg that matches", [0x0f, 0xb1, 0xcb], [rax: 5, rbx: 5, rcx: 9], [rbx: 9, rax: 5], p | z),
    Row("cmpxchg that does not", [0x0f, 0xb1, 0xcb], [rax: 5, rbx: 6, rcx: 9], [rbx: 6, rax: 6], c | p | a | s),
    Row("loop of 32 bits counts ECX", [0x67, 0xe2, 0x00], [rcx: top | 1], [rcx: 0], 0),
  ]

  /// Flags that are dead in a block must not be missed where they are not, nor come back: pairs and triples of
  /// instructions.
  static let sequences: [Row] = [
    Row(
      "inc between sub and adc keeps the borrow", [0x29, 0xd8, 0xff, 0xc1, 0x11, 0xd2],
      [rax: 0, rbx: 1, rcx: 4, rdx: 0], [rax: 0xffff_ffff, rcx: 5, rdx: 1], 0),
    Row(
      "dec keeps the carry of a shift", [0xd1, 0xe0, 0xff, 0xc9, 0x19, 0xd2], [rax: 0x8000_0000, rcx: 1, rdx: 0],
      [rax: 0, rcx: 0, rdx: 0xffff_ffff], c | p | a | s),
    Row(
      "cmp then lea then setb", [0x39, 0xd8, 0x8d, 0x48, 0x01, 0x0f, 0x92, 0xc2], [rax: 1, rbx: 2, rdx: 0],
      [rcx: 2, rdx: 1], c | p | a | s),
    Row("shift by CL of 0 between", [0x39, 0xd8, 0xd3, 0xe2], [rax: 1, rbx: 1, rcx: 0, rdx: 7], [rdx: 7], p | z),
    Row("rol between keeps ZF", [0x39, 0xd8, 0xd1, 0xc2], [rax: 1, rbx: 1, rdx: 1], [rdx: 2], p | z),
    Row(
      "jump on parity of the low byte", [0x31, 0xd8, 0x7a, 0x02, 0xff, 0xc2], [rax: 0x100, rbx: 0, rdx: 0],
      [rdx: 0], p),
    Row(
      "signed and unsigned comparisons differ", [0x38, 0xd8, 0x0f, 0x9c, 0xc1, 0x0f, 0x92, 0xc2],
      [rax: 0x80, rbx: 0x7f, rcx: 0, rdx: 0], [rcx: 1, rdx: 0], a | o),
  ]

  static let rows = arithmetic + multiplication + shifts + bits + moves + sequences

  @Test(arguments: rows, [1, 64]) func `an instruction does what silicon does`(row: Row, blockLength: Int) {
    let guest = GuestMemory { map(0x1000, to: 0x1000) }
    var options = ProcessorOptions()
    options.blockLength = blockLength
    let machine = TinyMachine(guest, code: row.code + [0xf4], at: 0x1000, options: options)
    machine.update { state in
      for (slot, value) in row.before { state.slots[Int(slot)] = value }
      state.rflags = row.flagsBefore
    }
    #expect(machine.run() == .haltedForEver)
    let state = machine.processor.state
    for (slot, value) in row.after {
      #expect(
        state.slots[Int(slot)] == value,
        "register \(slot) is \(String(state.slots[Int(slot)], radix: 16)), not \(String(value, radix: 16))")
    }
    let flags = state.rflags & Flag.arithmetic & ~row.undefined
    #expect(
      flags == row.flags & ~row.undefined, "flags \(String(flags, radix: 16)), not \(String(row.flags, radix: 16))")
  }

  @Test func `division overflows where the quotient does not fit`() {
    // div bl, div ebx, idiv rbx of the least by -1
    let cases: [(code: [UInt8], rax: UInt64, rdx: UInt64, rbx: UInt64)] = [
      ([0xf6, 0xf3], 0x200, 0, 2), ([0xf7, 0xf3], 0, 2, 2), ([0x48, 0xf7, 0xfb], Self.top, .max, .max),
      ([0xf6, 0xfb], 0x80, 0, 1), ([0x48, 0xf7, 0xf3], 1, 5, 5),
    ]
    for (code, rax, rdx, rbx) in cases {
      let machine = TinyMachine(GuestMemory { map(0x1000, to: 0x1000) }, code: code, at: 0x1000)
      machine.installHandlers()
      machine.update { state in
        state.slots[Int(Slot.rax)] = rax
        state.slots[Int(Slot.rdx)] = rdx
        state.slots[Int(Slot.rbx)] = rbx
      }
      machine.run()
      #expect(machine.lastException == .divide, "\(code)")
      #expect(machine[Slot.rax] == rax && machine[Slot.rdx] == rdx)
    }
  }
}
