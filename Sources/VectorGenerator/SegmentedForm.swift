#if os(Linux) && arch(x86_64)
  import Machine

  /// One opcode in 16- or 32-bit code, with whatever prefixes and operands.
  struct SegmentedForm: CustomStringConvertible {
    /// How the segments lie (`ProgramSegments`).
    enum Layout: String, CaseIterable {
      /// 32-bit code in flat segments, and in such that end.
      case flat = "32-bit flat"
      case limited = "32-bit"
      case narrow = "16-bit"

      var size: CodeSize { self == .narrow ? .bits16 : .bits32 }
    }

    var layout: Layout
    /// Whether 0F stands before the opcode.
    var isSecondary: Bool
    var opcode: UInt8

    static let all: [SegmentedForm] = Layout.allCases.flatMap { layout in
      [false, true].flatMap { isSecondary in
        (0...0xff as ClosedRange<UInt8>).map {
          SegmentedForm(layout: layout, isSecondary: isSecondary, opcode: $0)
        }
        .filter { !$0.isLeftOut }
      }
    }

    var description: String {
      "\(layout.rawValue) \(isSecondary ? "0f " : "")\(opcode < 16 ? "0" : "")\(String(opcode, radix: 16))"
    }

    private var isLeftOut: Bool { isSecondary ? isSecondaryLeftOut : isPrimaryLeftOut }

    private var isPrimaryLeftOut: Bool {
      switch opcode {
      // Prefixes and the other map; WAIT and the x87, of which 64-bit code's vectors tell.
      case 0x0f, 0x26, 0x2e, 0x36, 0x3e, 0x64...0x67, 0xf0, 0xf2, 0xf3, 0x9b, 0xd8...0xdf: true
      // What a program can make of TF would end it elsewhere.
      case 0x9d, 0xf1: true
      // System calls.
      case 0xcd: true
      default: false
      }
    }

    private var isSecondaryLeftOut: Bool {
      switch opcode {
      // What the kernel executes itself (UMIP), and system calls.
      case 0x01, 0x05, 0x34, 0x35: true
      // What tells the time or the processor.
      case 0x31, 0x33, 0xa2: true
      // FS and GS, by which this process finds its own.
      case 0xa1, 0xa9, 0xb4, 0xb5: true
      // Other maps, the vector unit, and what Penumbra does not have.
      case 0x0e...0x17, 0x1a...0x1e, 0x28...0x2f, 0x36...0x3f, 0x50...0x7f, 0xa6, 0xa7, 0xae, 0xc2, 0xc4...0xc6,
        0xd0...0xfe:
        true
      // RSM and what AMD's processors have of virtual machines.
      case 0xaa, 0x24...0x27: true
      default: false
      }
    }

    /// The digit, where only one is to be had.
    var digit: UInt8? {
      switch (isSecondary, opcode) {
      case (false, 0x8f): 0
      case (true, 0xc7): 1
      default: nil
      }
    }

    /// Whether a digit is not left out: SLDT and STR, which the kernel executes itself, and MOV to FS and GS.
    func has(digit: UInt8) -> Bool {
      switch (isSecondary, opcode) {
      case (true, 0x00): digit > 1
      case (false, 0x8e): digit & 6 != 4
      default: true
      }
    }

    /// Whether ModRM names memory; with a register it would be the prefix of another map, or tell random numbers.
    var wantsMemory: Bool {
      switch (isSecondary, opcode) {
      case (false, 0x62), (false, 0xc4), (false, 0xc5), (true, 0xc7): true
      default: false
      }
    }

    /// Whether it names segments, so that selectors should lie about.
    var takesSelectors: Bool {
      switch (isSecondary, opcode) {
      case (false, 0x07), (false, 0x17), (false, 0x1f), (false, 0x8e), (false, 0x9a), (false, 0xc4), (false, 0xc5),
        (false, 0xca), (false, 0xcb), (false, 0xcf), (false, 0xea), (false, 0xff), (true, 0x00), (true, 0x02),
        (true, 0x03), (true, 0xb2):
        true
      default: false
      }
    }

    var isString: Bool {
      switch (isSecondary, opcode) {
      case (false, 0x6c...0x6f), (false, 0xa4...0xa7), (false, 0xaa...0xaf): true
      default: false
      }
    }

    /// Whether it may go elsewhere.
    var branches: Bool {
      switch (isSecondary, opcode) {
      case (false, 0x70...0x7f), (false, 0x9a), (false, 0xc2), (false, 0xc3), (false, 0xca), (false, 0xcb),
        (false, 0xcf), (false, 0xe0...0xe3), (false, 0xe8...0xeb), (false, 0xff), (true, 0x80...0x8f):
        true
      default: false
      }
    }

    /// Whether a single-step trap would not come, or would be seen.
    var isBlindToTraps: Bool {
      switch (isSecondary, opcode) {
      case (false, 0x17), (false, 0x8e), (false, 0x9c), (false, 0xcc), (false, 0xce), (true, 0xb2): true
      default: isString
      }
    }
  }
#endif
