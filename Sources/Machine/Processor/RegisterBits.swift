/// RFLAGS (SDM vol. 1, 3.4.3).
public enum Flag {
  public static let carry: UInt64 = 1 << 0
  /// Bit 1 is always set.
  public static let one: UInt64 = 1 << 1
  public static let parity: UInt64 = 1 << 2
  public static let adjust: UInt64 = 1 << 4
  public static let zero: UInt64 = 1 << 6
  public static let sign: UInt64 = 1 << 7
  public static let trap: UInt64 = 1 << 8
  public static let interrupt: UInt64 = 1 << 9
  public static let direction: UInt64 = 1 << 10
  public static let overflow: UInt64 = 1 << 11
  public static let ioPrivilege: UInt64 = 3 << 12
  public static let nestedTask: UInt64 = 1 << 14
  public static let resume: UInt64 = 1 << 16
  public static let virtual8086: UInt64 = 1 << 17
  public static let alignmentCheck: UInt64 = 1 << 18
  public static let virtualInterrupt: UInt64 = 1 << 19
  public static let virtualInterruptPending: UInt64 = 1 << 20
  public static let identification: UInt64 = 1 << 21

  /// The six that arithmetic writes.
  public static let arithmetic = carry | parity | adjust | zero | sign | overflow
  /// Everything that exists.
  public static let defined =
    arithmetic | trap | interrupt | direction | ioPrivilege | nestedTask | resume | virtual8086 | alignmentCheck
    | virtualInterrupt | virtualInterruptPending | identification
}

/// CR0 (SDM vol. 3, 2.5).
public enum CR0 {
  public static let protectionEnable: UInt64 = 1 << 0
  public static let monitorCoprocessor: UInt64 = 1 << 1
  public static let emulation: UInt64 = 1 << 2
  public static let taskSwitched: UInt64 = 1 << 3
  public static let extensionType: UInt64 = 1 << 4
  public static let numericError: UInt64 = 1 << 5
  public static let writeProtect: UInt64 = 1 << 16
  public static let alignmentMask: UInt64 = 1 << 18
  public static let notWriteThrough: UInt64 = 1 << 29
  public static let cacheDisable: UInt64 = 1 << 30
  public static let paging: UInt64 = 1 << 31
  public static let defined =
    protectionEnable | monitorCoprocessor | emulation | taskSwitched | extensionType | numericError | writeProtect
    | alignmentMask | notWriteThrough | cacheDisable | paging
}

/// CR4 (SDM vol. 3, 2.5).
public enum CR4 {
  public static let virtual8086Extensions: UInt64 = 1 << 0
  public static let protectedVirtualInterrupts: UInt64 = 1 << 1
  public static let timeStampDisable: UInt64 = 1 << 2
  public static let debuggingExtensions: UInt64 = 1 << 3
  public static let pageSizeExtensions: UInt64 = 1 << 4
  public static let physicalAddressExtension: UInt64 = 1 << 5
  public static let machineCheck: UInt64 = 1 << 6
  public static let pageGlobal: UInt64 = 1 << 7
  public static let performanceCounter: UInt64 = 1 << 8
  public static let osFXSR: UInt64 = 1 << 9
  public static let osXMMExceptions: UInt64 = 1 << 10
  public static let umip: UInt64 = 1 << 11
  public static let la57: UInt64 = 1 << 12
  public static let fsgsbase: UInt64 = 1 << 16
  public static let pcid: UInt64 = 1 << 17
  public static let osXSAVE: UInt64 = 1 << 18
  public static let smep: UInt64 = 1 << 20
  public static let smap: UInt64 = 1 << 21
  public static let protectionKeys: UInt64 = 1 << 22
  public static let supervisorKeys: UInt64 = 1 << 24
}

/// IA32_EFER (SDM vol. 3, 2.2.1).
public enum EFER {
  public static let systemCall: UInt64 = 1 << 0
  public static let longModeEnable: UInt64 = 1 << 8
  public static let longModeActive: UInt64 = 1 << 10
  public static let noExecute: UInt64 = 1 << 11
}

/// IA32_MISC_ENABLE (SDM vol. 4, table 2-2).
public enum MiscEnable {
  public static let fastStrings: UInt64 = 1 << 0
  public static let automaticThermalControl: UInt64 = 1 << 3
  /// Read-only: neither branch trace storage nor precise events.
  public static let unavailable: UInt64 = 1 << 11 | 1 << 12
  public static let enhancedSpeedStep: UInt64 = 1 << 16
  /// CPUID has no leaf above 2.
  public static let limitCPUID: UInt64 = 1 << 22
  public static let xTPRDisable: UInt64 = 1 << 23
  /// NX does not exist.
  public static let executeDisableOff: UInt64 = 1 << 34
  /// MONITOR is another, but there is none; kept all the same.
  public static let monitor: UInt64 = 1 << 18
  public static let writable =
    fastStrings | automaticThermalControl | enhancedSpeedStep | monitor | limitCPUID | xTPRDisable | executeDisableOff
}

/// Numbers of the model-specific registers that exist here.
public enum MSR {
  public static let timeStamp: UInt32 = 0x10
  public static let apicBase: UInt32 = 0x1b
  public static let tscAdjust: UInt32 = 0x3b
  public static let microcode: UInt32 = 0x8b
  public static let machineCheckCapability: UInt32 = 0x179
  public static let machineCheckStatus: UInt32 = 0x17a
  /// IA32_MC0_CTL, the first of four registers a bank.
  public static let machineCheckBanks: UInt32 = 0x400
  public static let mtrrCapability: UInt32 = 0xfe
  public static let sysEnterCS: UInt32 = 0x174
  public static let sysEnterESP: UInt32 = 0x175
  public static let sysEnterEIP: UInt32 = 0x176
  public static let miscEnable: UInt32 = 0x1a0
  public static let pat: UInt32 = 0x277
  public static let mtrrDefault: UInt32 = 0x2ff
  public static let xss: UInt32 = 0xda0
  public static let timeStampDeadline: UInt32 = 0x6e0
  /// The local APIC's registers in x2APIC mode.
  public static let extendedAPIC: ClosedRange<UInt32> = 0x800...0x8ff
  /// IA32_PKRS.
  public static let supervisorKeys: UInt32 = 0x6e1
  public static let efer: UInt32 = 0xc000_0080
  public static let star: UInt32 = 0xc000_0081
  public static let lstar: UInt32 = 0xc000_0082
  public static let cstar: UInt32 = 0xc000_0083
  public static let sfmask: UInt32 = 0xc000_0084
  public static let fsBase: UInt32 = 0xc000_0100
  public static let gsBase: UInt32 = 0xc000_0101
  public static let kernelGSBase: UInt32 = 0xc000_0102
  public static let tscAux: UInt32 = 0xc000_0103
}
