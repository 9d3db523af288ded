import Debugger
import Machine

/// A register as gdb knows it.
struct Register: Sendable {
  /// The part of the target description that it belongs to.
  enum Feature: String, CaseIterable, Sendable {
    // gdb's own names, with the registers that it wants in each (the manual of gdb, appendix G.5.6).
    case core = "org.gnu.gdb.i386.core"
    case sse = "org.gnu.gdb.i386.sse"
    case segments = "org.gnu.gdb.i386.segments"
    case avx = "org.gnu.gdb.i386.avx"
    case system = "org.penumbra.i386.system"
  }

  var name: String
  var bits: Int
  var type: String
  var feature: Feature
  /// Where gdb lists it, if not by its type.
  var group: String?
  var read: @Sendable (Session) -> [UInt8]
  /// False: the register cannot be set.
  var write: @Sendable (Session, [UInt8]) -> Bool

  /// A register that is a number of the processor's state.
  init<Value: FixedWidthInteger & UnsignedInteger & Sendable>(
    _ name: String, _ type: String, _ feature: Feature, bits: Int? = nil, group: String? = nil, as _: Value.Type,
    get: @escaping @Sendable (ProcessorState) -> Value,
    set: (@Sendable (inout ProcessorState, Value) -> Void)?
  ) {
    self.name = name
    self.bits = bits ?? Value.bitWidth
    self.type = type
    self.feature = feature
    self.group = group
    let count = self.bits / 8
    read = { Array(get($0.processor.state).littleEndianBytes.prefix(count)) }
    write = { session, bytes in
      guard let set else { return false }
      session.changeState { set(&$0, Value(littleEndianBytes: bytes)) }
      return true
    }
  }

  var byteCount: Int { bits / 8 }
}

extension Register {
  /// All registers, in the order of their numbers.
  ///
  /// They are those of a 64-bit processor in every mode, for gdb asks what registers there are but once. What is in them is
  /// what the processor has in them; only `rip` is the linear address of the next instruction, because that is what gdb
  /// takes it for: so code is shown and breakpoints are met where CS has a base.
  static func all(of session: Session) -> [Register] {
    core + sse + segments + (session.machine.configuration.features.contains("avx") ? avx : []) + system
  }

  /// rip and rsp, rbp: what is told with every stop.
  static let programCounter = 16
  static let expedited = [6, 7, programCounter]

  private static let core: [Register] = general + [instructionPointer, flags] + selectors + x87

  private static let general: [Register] = {
    // gdb's order, which is not the encoding's.
    let names: [(String, UInt8)] = [
      ("rax", Slot.rax), ("rbx", Slot.rbx), ("rcx", Slot.rcx), ("rdx", Slot.rdx), ("rsi", Slot.rsi), ("rdi", Slot.rdi),
      ("rbp", Slot.rbp), ("rsp", Slot.rsp),
    ]
    return (names + (8..<16).map { ("r\($0)", UInt8($0)) }).map { name, slot in
      Register(
        name, name == "rsp" || name == "rbp" ? "data_ptr" : "int64", .core, as: UInt64.self,
        get: { $0.slots[Int(slot)] }, set: { $0.slots[Int(slot)] = $1 })
    }
  }()

  private static let instructionPointer = Register(
    "rip", "code_ptr", .core, as: UInt64.self,
    get: { $0.codeSize == .bits64 ? $0.rip : ($0.rip &+ $0[.cs].base) & 0xffff_ffff },
    set: { $0.rip = $0.codeSize == .bits64 ? $1 : ($1 &- $0[.cs].base) & 0xffff_ffff })

  private static let flags = Register(
    "eflags", "i386_eflags", .core, as: UInt32.self, get: { UInt32(truncatingIfNeeded: $0.rflags) },
    set: { $0.rflags = UInt64($1) })

  /// Selectors can be seen only: setting one would have to load what belongs to it.
  private static let selectors: [Register] = {
    let segments: [(String, SegmentRegister)] = [
      ("cs", .cs), ("ss", .ss), ("ds", .ds), ("es", .es), ("fs", .fs), ("gs", .gs),
    ]
    return segments.map { name, segment in
      Register(name, "int32", .core, as: UInt32.self, get: { UInt32($0[segment].selector) }, set: nil)
    }
  }()

  private static let x87: [Register] = {
    let stack = (0..<8).map { number in
      Register(
        "st\(number)", "i387_ext", .core, bits: 80, as: UInt128.self,
        get: { UInt128($0.vector.x87[number].head) << 64 | UInt128($0.vector.x87[number].significand) },
        set: {
          $0.vector.x87[number] = ExtendedReal(
            significand: UInt64(truncatingIfNeeded: $1), head: UInt16(truncatingIfNeeded: $1 >> 64))
        })
    }
    func control(
      _ name: String, _ get: @escaping @Sendable (X87State) -> UInt64,
      _ set: @escaping @Sendable (inout X87State, UInt32) -> Void
    ) -> Register {
      Register(
        name, "int", .core, group: "float", as: UInt32.self,
        get: { UInt32(truncatingIfNeeded: get($0.vector.x87)) }, set: { set(&$0.vector.x87, $1) })
    }
    return stack + [
      control("fctrl", { UInt64($0.control) }, { $0.control = UInt16(truncatingIfNeeded: $1) }),
      control("fstat", { UInt64($0.statusWord) }, { $0.statusWord = UInt16(truncatingIfNeeded: $1) }),
      control("ftag", { UInt64($0.fullTags) }, { $0.fullTags = UInt16(truncatingIfNeeded: $1) }),
      control("fiseg", { UInt64($0.codeSelector) }, { $0.codeSelector = UInt16(truncatingIfNeeded: $1) }),
      control("fioff", { $0.instructionPointer }, { $0.instructionPointer = UInt64($1) }),
      control("foseg", { UInt64($0.dataSelector) }, { $0.dataSelector = UInt16(truncatingIfNeeded: $1) }),
      control("fooff", { $0.dataPointer }, { $0.dataPointer = UInt64($1) }),
      control("fop", { UInt64($0.opcode) }, { $0.opcode = UInt16(truncatingIfNeeded: $1) & 0x7ff }),
    ]
  }()

  private static func vectors(
    _ name: @escaping (Int) -> String, _ type: String, _ feature: Feature,
    _ path: WritableKeyPath<VectorState, InlineArray<16, Vector128>> & Sendable
  ) -> [Register] {
    (0..<16).map { number in
      Register(
        name(number), type, feature, as: UInt128.self,
        get: {
          let value = $0.vector[keyPath: path][number]
          return UInt128(value.y) << 64 | UInt128(value.x)
        },
        set: {
          $0.vector[keyPath: path][number] = Vector128(
            UInt64(truncatingIfNeeded: $1), UInt64(truncatingIfNeeded: $1 >> 64))
        })
    }
  }

  private static let sse =
    vectors({ "xmm\($0)" }, "vec128", .sse, \.xmm) + [
      Register(
        "mxcsr", "i386_mxcsr", .sse, group: "vector", as: UInt32.self, get: { $0.vector.mxcsr },
        set: { $0.vector.mxcsr = $1 & MXCSR.defined })
    ]

  /// The upper halves of YMM0 to YMM15.
  private static let avx = vectors({ "ymm\($0)h" }, "uint128", .avx, \.upper)

  private static let segments: [Register] = [
    Register("fs_base", "int64", .segments, as: UInt64.self, get: { $0[.fs].base }, set: { $0[.fs].base = $1 }),
    Register("gs_base", "int64", .segments, as: UInt64.self, get: { $0[.gs].base }, set: { $0[.gs].base = $1 }),
  ]

  private static let system: [Register] = {
    func number(_ name: String, _ type: String, _ path: WritableKeyPath<ProcessorState, UInt64> & Sendable) -> Register
    {
      Register(
        name, type, .system, group: "system", as: UInt64.self, get: { $0[keyPath: path] },
        set: { $0[keyPath: path] = $1 })
    }
    var priority = Register(
      "cr8", "int64", .system, group: "system", as: UInt64.self, get: { _ in 0 }, set: nil)
    priority.read = { session in
      UInt64(session.machine.devices.taskPriority(processor: session.processor.index)).littleEndianBytes
    }
    return [
      number("k_gs_base", "int64", \.kernelGSBase), number("cr0", "cr0_flags", \.cr0), number("cr2", "data_ptr", \.cr2),
      number("cr3", "int64", \.cr3), number("cr4", "cr4_flags", \.cr4), priority,
      number("efer", "efer_flags", \.efer),
    ] + [
      Register(
        "gdt", "data_ptr", .system, group: "system", as: UInt64.self, get: { $0.gdtr.base }, set: nil),
      Register(
        "idt", "data_ptr", .system, group: "system", as: UInt64.self, get: { $0.idtr.base }, set: nil),
    ]
  }()
}
