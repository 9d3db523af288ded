/// Why the hardware handed control to the hypervisor. The names are those that `perf kvm stat` readers know.
@frozen public enum ExitReason: UInt8, CaseIterable, Sendable {
  /// A page fault under shadow paging: hidden or true, the hypervisor decides.
  case pageFault
  /// A guest-physical access that the nested tables do not allow (EPT violation, NPF).
  case nestedFault
  /// A nested table entry that is malformed (EPT misconfiguration).
  case nestedMisconfiguration
  /// MOV to CR0, CR3 or CR4 that the controls intercept.
  case controlRegister0
  case controlRegister3
  case controlRegister4
  case invalidatePage
  case invalidatePCID
  case port
  case halt
  case externalInterrupt
  /// The guest can take an interrupt again after the hypervisor asked to be told.
  case interruptWindow
  case readMSR
  case writeMSR
  case tripleFault
  /// One instruction was completed with the hypervisor's grants (`VMControls.grants`).
  case assisted
  /// A or D of a nested entry would have to be set, and the page-modification log is full.
  case modificationLogFull

  /// The name in causes, statistics and messages, for example `page-fault`.
  public var name: String {
    switch self {
    case .pageFault: "page-fault"
    case .nestedFault: "nested-fault"
    case .nestedMisconfiguration: "nested-misconfiguration"
    case .controlRegister0: "cr0"
    case .controlRegister3: "cr3"
    case .controlRegister4: "cr4"
    case .invalidatePage: "invlpg"
    case .invalidatePCID: "invpcid"
    case .port: "io"
    case .halt: "hlt"
    case .externalInterrupt: "external-interrupt"
    case .interruptWindow: "interrupt-window"
    case .readMSR: "msr-read"
    case .writeMSR: "msr-write"
    case .tripleFault: "triple-fault"
    case .assisted: "assisted"
    case .modificationLogFull: "pml-full"
    }
  }
}

extension NestedFault {
  /// What the hardware exits for.
  var exitReason: ExitReason {
    isLogFull ? .modificationLogFull : misconfigured ? .nestedMisconfiguration : .nestedFault
  }
}
