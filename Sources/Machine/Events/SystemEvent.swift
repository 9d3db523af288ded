/// Something that an instruction does to the machine's state beside registers and memory: what a debugger can be asked
/// to catch. It is told once the instruction is known not to fault; under a hypervisor that intercepts it, before the
/// exit.
public enum SystemEvent: Equatable, Sendable {
  /// A control register gets a value.
  case controlRegister(number: Int, old: UInt64, new: UInt64)
  /// RDMSR or WRMSR; a read has the value too.
  case modelSpecificRegister(number: UInt32, value: UInt64, isWrite: Bool)
  /// INVLPG, or INVPCID of type 0, of an address; INVPCID of another type has none.
  case invalidation(GuestVirtual?)
  /// IN or OUT; a read has no value yet.
  case port(number: UInt16, width: Int, value: UInt64?)
  /// SYSCALL or SYSENTER, at the entry of the kernel.
  case systemCall
  /// The processor has come to run in another mode.
  case mode(old: ProcessorMode, new: ProcessorMode)
}

/// How a processor runs (SDM vol. 3, 2.2).
@frozen public enum ProcessorMode: UInt8, Sendable {
  case real, virtual8086, protected16, protected32, compatibility16, compatibility32, long

  public var name: String {
    switch self {
    case .real: "real mode"
    case .virtual8086: "virtual-8086 mode"
    case .protected16: "protected mode, 16-bit code"
    case .protected32: "protected mode, 32-bit code"
    case .compatibility16: "compatibility mode, 16-bit code"
    case .compatibility32: "compatibility mode, 32-bit code"
    case .long: "64-bit mode"
    }
  }
}

extension ProcessorState {
  public var mode: ProcessorMode {
    guard cr0 & CR0.protectionEnable != 0 else { return .real }
    switch (codeSize, isLongMode) {
    case (.bits64, _): return .long
    case (.bits32, true): return .compatibility32
    case (.bits16, true): return .compatibility16
    case (.bits32, false): return systemFlags & Flag.virtual8086 != 0 ? .virtual8086 : .protected32
    case (.bits16, false): return systemFlags & Flag.virtual8086 != 0 ? .virtual8086 : .protected16
    }
  }
}
