import Machine

/// What one processor's guest has done to have its translations of an address dropped (SDM vol. 3, 4.10.4.1).
struct InvalidationLog {
  private let address: GuestVirtual
  /// The page that the tables had or have there, the larger of them, less one.
  private let offsetMask: UInt64
  /// The translation may be global.
  private let isGlobal: Bool
  /// The guest's PCID in the end; 0 without CR4.PCIDE.
  private let pcid: UInt64
  /// The last thing that has dropped the translations for certain, and the last that may have.
  private(set) var certain: String?
  private(set) var possible: String?

  init(of address: GuestVirtual, offsetMask: UInt64, isGlobal: Bool, cr3: UInt64, cr4: UInt64) {
    (self.address, self.offsetMask, self.isGlobal) = (address, offsetMask, isGlobal)
    pcid = cr4 & CR4.pcid != 0 ? cr3 & 0xfff : 0
  }

  /// - Parameter cr4: the register before the event.
  mutating func note(_ event: SystemEvent, cr4: UInt64) {
    let hasContexts = cr4 & CR4.pcid != 0
    switch event {
    case .invalidation(let named?) where contains(named):
      // INVPCID names a PCID, and leaves global translations.
      if hasContexts || isGlobal { possible = "INVLPG or INVPCID" } else { certain = "INVLPG or INVPCID" }
    case .invalidation(nil): possible = "INVPCID"
    case .controlRegister(3, _, let new) where !isGlobal:
      if !hasContexts || new >> 63 == 0 && new & 0xfff == pcid { certain = "a load of CR3" }
    case .controlRegister(4, let old, let new):
      let changed = old ^ new
      if changed & CR4.pageGlobal != 0 || changed & old & CR4.pcid != 0
        || !isGlobal && (changed & CR4.physicalAddressExtension != 0 || changed & new & CR4.smep != 0)
      {
        certain = "a load of CR4"
      }
    case .controlRegister(0, let old, let new) where old & ~new & CR0.paging != 0: certain = "a load of CR0"
    default: break
    }
  }

  /// A page fault drops what it was raised for.
  mutating func noteFault(at fault: GuestVirtual) {
    if fault.rawValue ^ address.rawValue < 4096 { certain = "a page fault" }
  }

  private func contains(_ named: GuestVirtual) -> Bool { (named.rawValue ^ address.rawValue) & ~offsetMask == 0 }

  /// The sentence that says it.
  var description: String {
    if let certain {
      return "since then \(certain) has invalidated \(address): that something is stale is not the guest's fault"
    }
    if let possible { return "since then \(possible) may have invalidated \(address)" }
    return "since then nothing has invalidated \(address) (INVLPG, INVPCID, a load of CR3 or CR4)"
  }
}
