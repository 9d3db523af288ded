import Machine

/// Registers by name, as expressions and `set` know them.
public enum RegisterName {
  static let general = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
  ]
  private static let words = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"]
  private static let bytes = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"]
  private static let segments: [(String, SegmentRegister)] = [
    ("es", .es), ("cs", .cs), ("ss", .ss), ("ds", .ds), ("fs", .fs), ("gs", .gs),
  ]
  static let flags: [(name: String, bit: UInt64)] = [
    ("cf", Flag.carry), ("pf", Flag.parity), ("af", Flag.adjust), ("zf", Flag.zero), ("sf", Flag.sign),
    ("tf", Flag.trap), ("if", Flag.interrupt), ("df", Flag.direction), ("of", Flag.overflow), ("nt", Flag.nestedTask),
    ("rf", Flag.resume), ("vm", Flag.virtual8086), ("ac", Flag.alignmentCheck),
  ]
  private static let plain: [(String, any WritableKeyPath<ProcessorState, UInt64> & Sendable)] = [
    ("rip", \.rip), ("rflags", \.rflags), ("cr0", \.cr0), ("cr2", \.cr2), ("cr3", \.cr3), ("cr4", \.cr4),
    ("efer", \.efer), ("star", \.star), ("lstar", \.lstar), ("cstar", \.cstar), ("sfmask", \.sfmask),
    ("kernel_gs_base", \.kernelGSBase), ("xcr0", \.xcr0), ("pat", \.pat),
  ]

  /// Every name, for completion.
  public static let all: [String] =
    general + words + bytes + [
      "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags", "pc", "sp", "fp",
    ]
    + plain.map(\.0) + segments.map(\.0) + segments.map { $0.0 + "_base" } + flags.map(\.name)
    + ["cpl", "cr8", "gdt", "idt", "tr", "ldtr", "instructions", "cycles", "cpu"] + (0..<8).map { "dr\($0)" }

  /// A register's value; nil for a name that is none.
  static func value(_ name: String, _ session: Session) -> UInt64? {
    let state = session.processor.state
    if let slot = slot(name) { return (state.slots[slot.number] >> slot.shift) & slot.mask }
    if let path = plain.first(where: { $0.0 == name })?.1 { return state[keyPath: path] }
    if let flag = flags.first(where: { $0.name == name }) { return state.rflags & flag.bit != 0 ? 1 : 0 }
    if let segment = segments.first(where: { $0.0 == name })?.1 { return UInt64(state[segment].selector) }
    if name.hasSuffix("_base"), let segment = segments.first(where: { $0.0 + "_base" == name })?.1 {
      return state[segment].base
    }
    if name.count == 3, name.hasPrefix("dr"), let number = name.last?.wholeNumberValue, number < 8 {
      return state.debugRegisters[number]
    }
    switch name {
    case "pc": return session.programCounter
    case "eip": return state.rip & 0xffff_ffff
    case "eflags": return state.rflags
    case "cpl": return UInt64(state.cpl)
    case "cr8": return UInt64(session.machine.devices.taskPriority(processor: session.processor.index))
    case "gdt": return state.gdtr.base
    case "idt": return state.idtr.base
    case "tr": return UInt64(state.tr.selector)
    case "ldtr": return UInt64(state.ldtr.selector)
    case "instructions": return session.moment.instructions
    case "cycles": return session.moment.cycles
    case "cpu": return UInt64(session.selected)
    default: return nil
    }
  }

  /// Gives a register a value; false for a name that is none, or that cannot be set.
  static func set(_ name: String, _ value: UInt64, _ state: inout ProcessorState) -> Bool {
    if let slot = slot(name) {
      let old = state.slots[slot.number]
      let kept = slot.clearsUpper ? 0 : old & ~(slot.mask << slot.shift)
      state.slots[slot.number] = kept | (value & slot.mask) << slot.shift
      return true
    }
    if let path = plain.first(where: { $0.0 == name })?.1 {
      state[keyPath: path] = value
      return true
    }
    if let flag = flags.first(where: { $0.name == name }) {
      state.rflags = value == 0 ? state.rflags & ~flag.bit : state.rflags | flag.bit
      return true
    }
    if name.hasSuffix("_base"), let segment = segments.first(where: { $0.0 + "_base" == name })?.1 {
      state[segment].base = value
      return true
    }
    switch name {
    case "pc", "eip": state.rip = value
    case "eflags": state.rflags = value
    default: return false
    }
    return true
  }

  private struct Place {
    var number: Int
    var shift: UInt64 = 0
    var mask: UInt64 = .max
    var clearsUpper = false
  }

  /// The slot of a general register's name, of whatever width.
  private static func slot(_ name: String) -> Place? {
    if let number = general.firstIndex(of: name) { return Place(number: number) }
    if let number = words.firstIndex(of: name) {
      // `sp` and `bp` are what a program means by them: the whole register.
      if name == "sp" { return Place(number: number) }
      return Place(number: number, mask: 0xffff)
    }
    if name == "fp" { return Place(number: 5) }
    if let number = bytes.firstIndex(of: name) { return Place(number: number, mask: 0xff) }
    if let number = ["ah", "ch", "dh", "bh"].firstIndex(of: name) {
      return Place(number: number, shift: 8, mask: 0xff)
    }
    if name.hasPrefix("e"), let number = words.firstIndex(of: String(name.dropFirst())) {
      return Place(number: number, mask: 0xffff_ffff, clearsUpper: true)
    }
    guard name.hasPrefix("r"), let last = name.last, let number = general.firstIndex(of: String(name.dropLast())),
      number >= 8
    else { return nil }
    switch last {
    case "d": return Place(number: number, mask: 0xffff_ffff, clearsUpper: true)
    case "w": return Place(number: number, mask: 0xffff)
    case "b": return Place(number: number, mask: 0xff)
    default: return nil
    }
  }
}

extension Session {
  /// What a name stands for: a register with or without `$`, or a symbol's address.
  func value(ofName name: String) throws(Expression.Failure) -> UInt64 {
    if name.hasPrefix("$") {
      let bare = String(name.dropFirst()).lowercased()
      guard let value = RegisterName.value(bare, self) else {
        throw Expression.Failure(description: "no register \(bare)")
      }
      return value
    }
    if let symbol = symbols[name] { return symbol.address.rawValue }
    if let value = RegisterName.value(name.lowercased(), self) { return value }
    throw Expression.Failure(description: "no symbol or register \"\(name)\"")
  }
}
