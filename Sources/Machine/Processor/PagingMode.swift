/// How a guest pages (SDM vol. 3, 4.1.1).
@frozen public enum PagingMode: UInt8, Sendable {
  case off
  /// 32-bit paging: two levels of entries of four bytes.
  case narrow
  /// Three levels, the topmost in registers.
  case pae
  case levels4, levels5

  /// Levels of tables.
  @inlinable public var levels: Int { self == .off ? 0 : Int(rawValue) &+ 1 }
}

extension Processor.PagingRegisters {
  public var mode: PagingMode {
    guard cr0 & CR0.paging != 0 else { return .off }
    if efer & EFER.longModeActive != 0 { return cr4 & CR4.la57 != 0 ? .levels5 : .levels4 }
    return cr4 & CR4.physicalAddressExtension != 0 ? .pae : .narrow
  }
}

/// What paging is in force: from the guest's control registers and the hypervisor's controls to the walker's plan.
extension Processor {
  /// The plan of the guest's own tables.
  func guestPlan(second: WalkPlan.Second) -> WalkPlan {
    let state = s.pointee
    let mode = pagingRegisters.mode
    // 32-bit paging has no XD.
    let noExecute = state.efer & EFER.noExecute != 0 && mode != .narrow
    var isNested = false
    if case .tables = second { isNested = true }
    return WalkPlan(
      root: GuestPhysical(state.cr3 & (mode == .pae ? 0xffff_ffe0 : EntryBit.frameMask)), levels: mode.levels,
      layout: mode == .narrow ? .narrow(largePages: state.cr4 & CR4.pageSizeExtensions != 0) : .wide,
      readsDirectoryPointers: isNested && profile.vendor == .amd, format: .ordinary(noExecute: noExecute),
      reserved: reservedBits(mode, noExecute: noExecute, gigabytePages: features.contains(.pdpe1gb)),
      reportsFetch: noExecute || state.cr4 & CR4.smep != 0,
      globalPages: state.cr4 & CR4.pageGlobal != 0, second: second)
  }

  func reservedBits(
    _ mode: PagingMode, noExecute: Bool, gigabytePages: Bool, switches: Bool = false
  ) -> ReservedBits {
    ReservedBits(
      .ordinary(noExecute: noExecute), physicalBits: costs.physicalBits, gigabytePages: gigabytePages,
      vendor: profile.vendor, isPAE: mode == .pae, pse36: features.contains(.pse36), switches: switches)
  }

  /// The plan of the guest's tables as a hypervisor walks them in software.
  public var softwarePlan: WalkPlan { softwarePlanned.pointee }

  /// Where it is, made anew when the registers are others.
  var softwarePlanned: UnsafePointer<WalkPlan> {
    let registers = pagingRegisters
    if softwarePlannedFor != registers {
      softwarePlannedFor = registers
      planned[2] = guestPlan(second: .software)
    }
    return UnsafePointer(planned + 2)
  }

  /// The control bits of the guest that decide permissions. Without paging everything is allowed, which the walker's
  /// permissions say.
  public var guestControls: PagingControls {
    let state = s.pointee
    return PagingControls(
      writeProtect: state.cr0 & CR0.writeProtect != 0, smep: state.cr4 & CR4.smep != 0 && state.cr0 & CR0.paging != 0,
      smap: state.cr4 & CR4.smap != 0 && state.cr0 & CR0.paging != 0,
      alignmentCheckFlag: state.systemFlags & Flag.alignmentCheck != 0, keys: protectionKeys)
  }

  /// The protection keys that are enabled: those of four- and five-level paging only (SDM vol. 3, 4.6.2).
  private var protectionKeys: ProtectionKeys {
    guard s.pointee.cr4 & (CR4.protectionKeys | CR4.supervisorKeys) != 0, s.pointee.isLongMode else {
      return ProtectionKeys()
    }
    return ProtectionKeys(
      user: s.pointee.cr4 & CR4.protectionKeys != 0 ? s.pointee.pkru : 0,
      supervisor: s.pointee.cr4 & CR4.supervisorKeys != 0 ? s.pointee.pkrs : 0)
  }

  /// Follows a change of CR0, CR3, CR4, EFER, CPL, EFLAGS.AC or the controls.
  func updatePaging() {
    let before = (plan, directoryPointers, beyond?.pointee)
    beyond = nil
    pagingControls = guestControls
    updateWatches()
    var space = TranslationSpace(vpid: controls.vpid)
    var context = s.pointee.cr4 & CR4.pcid != 0 ? UInt16(s.pointee.cr3 & 0xfff) : 0
    switch controls.paging {
    case .native:
      plan = guestPlan(second: .identity)
      directoryPointers = s.pointee.directoryPointers
    case .nested(let nested):
      plan = guestPlan(second: .tables(nested))
      directoryPointers = s.pointee.directoryPointers
      space.root = nested.root
    case .shadow(let shadow):
      // The hypervisor runs the guest with its own CR0 and CR4: WP always set, paging on with the tables that it made
      // unless there is nothing to shadow. What the guest's WP, SMEP and SMAP mean is in the shadow entries, except the
      // checks that the real CR4 makes the same way. Which page sizes the processor has, the hypervisor knows, whatever
      // the guest is told.
      plan = WalkPlan(
        root: GuestPhysical(shadow.root.rawValue), levels: shadow.isGuestRoot ? 0 : shadow.levels,
        format: .ordinary(noExecute: true),
        reserved: reservedBits(.levels4, noExecute: true, gigabytePages: true, switches: shadow.nested != nil),
        reportsFetch: true, globalPages: false, second: .identity)
      if let nested = shadow.nested, shadow.isUnpaged {
        // CR0.PG is clear: to set it exits.
        plan = guestPlan(second: .tables(nested))
        space.root = nested.root
      } else if let nested = shadow.nested {
        // Behind a switch the guest's own tables say everything but that a page is global: tags are those of the shadow
        // roots, which share none.
        planned[1] = guestPlan(second: .tables(nested))
        planned[1].globalPages = false
        beyond = UnsafePointer(planned + 1)
        space.root = nested.root
      }
      directoryPointers = shadow.directoryPointers
      pagingControls.writeProtect = true
      context = shadow.tag
    }
    let number = translation.number(of: space)
    tag = TranslationKey.tag(space: number, pcid: context)
    globalTag = TranslationKey.globalTag(space: number)
    if let root = space.root { nestedTag = TranslationKey.tag(space: translation.number(ofRoot: root), pcid: 0) }

    served = ServedAccess.under(pagingControls)
    hasKeys = pagingControls.keys.areInUse
    untranslatedBits = s.pointee.isLongMode && s.pointee.cr4 & CR4.la57 != 0 ? 7 : 16

    var basis = VerdictBasis(tag: tag, controls: pagingControls)
    basis.controls?.alignmentCheckFlag = false
    // Coherent TLBs are checked against other tables from now on.
    if basis != verdictBasis || options.coherentTLB && before != (plan, directoryPointers, beyond?.pointee) {
      verdictBasis = basis
      translation.forgetVerdicts()
    }
    updateVerdicts()
  }

  /// Follows the beginning and the end of an instruction that the hypervisor helps with, for which no verdict counts.
  func updateVerdicts() {
    hasVerdicts = options.dataCache == .off && controls.grants.isEmpty && !watchesAccesses
    refills = hasVerdicts && !options.coherentTLB
    directContext = s.pointee.cpl == 3 ? 2 : pagingControls.smap && !pagingControls.alignmentCheckFlag ? 0 : 1
    translation.known.select(refills ? directContext : nil)
    servedReads = hasVerdicts ? served.mask(Access(.read, privilege)) : 0
    servedWrites = hasVerdicts ? served.mask(Access(.write, privilege)) : 0
    direct = hasVerdicts ? translation.direct.select(directContext) : translation.direct.nothing
    forgetFetchPage()
  }

  /// Whether an address repeats its topmost translated bit. Outside long mode all of 32 bits do.
  @inline(__always) func isCanonical(_ address: UInt64) -> Bool {
    Int64(bitPattern: address &<< untranslatedBits) &>> Int64(truncatingIfNeeded: untranslatedBits)
      == Int64(bitPattern: address)
  }
}
