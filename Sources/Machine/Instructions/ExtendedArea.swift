/// XSAVE and XRSTOR in all their forms (SDM vol. 1, 13.7 to 13.12).
///
/// No modification is tracked: XSAVEOPT and XSAVES write what is in use, and leave out what is initial.
extension Processor {
  /// What an instruction of the family does differently.
  private struct Variant {
    var feature: FeatureSet
    /// Components that are initial are not written.
    var omitsInitial = true
    var compacts = false
    /// For the supervisor, and of its components too.
    var isSupervisor = false
  }

  private static let xsave = Variant(feature: .xsave, omitsInitial: false)
  private static let xsaveopt = Variant(feature: .xsaveopt)
  private static let xsavec = Variant(feature: .xsavec, compacts: true)
  private static let xsaves = Variant(feature: .xsaves, compacts: true, isSupervisor: true)
  private static let xrstor = Variant(feature: .xsave)

  func extendedArea(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ operation: ExtendedStateOperation
  ) throws(Stopped) {
    switch operation {
    case .xsave: try save(op, form, Self.xsave)
    case .xsaveopt: try save(op, form, Self.xsaveopt)
    case .xsavec: try save(op, form, Self.xsavec)
    case .xsaves: try save(op, form, Self.xsaves)
    case .xrstors: try restore(op, form, Self.xsaves)
    default: try restore(op, form, Self.xrstor)
    }
  }

  /// #UD without the feature or CR4.OSXSAVE, #NM with TS, #GP outside ring 0, then alignment to 64.
  private func areaAddress(
    _ op: UnsafePointer<Operation>, _ form: OperandForm, _ variant: Variant, write: Bool
  ) throws(Stopped) -> UInt64 {
    guard features.contains(variant.feature), s.pointee.cr4 & CR4.osXSAVE != 0 else { throw raise(.invalidOpcode) }
    if s.pointee.cr0 & CR0.taskSwitched != 0 { throw raise(.deviceNotAvailable) }
    if variant.isSupervisor { try requireRing0() }
    let address = try checkedArea(op, form, ExtendedComponent.start, write: write)
    guard address & 63 == 0 else { throw raise(.generalProtection(0)) }
    return address
  }

  /// The components that are enabled; and those of them that EDX:EAX asks for.
  private func enabled(_ variant: Variant) -> UInt64 {
    variant.isSupervisor ? s.pointee.xcr0 | s.pointee.xss : s.pointee.xcr0
  }

  private func requested(_ variant: Variant) -> UInt64 {
    (register(Slot.rax, width: 4) | register(Slot.rdx, width: 4) << 32) & enabled(variant)
  }

  // MARK: Saving

  private func save(_ op: UnsafePointer<Operation>, _ form: OperandForm, _ variant: Variant) throws(Stopped) {
    let address = try areaAddress(op, form, variant, write: true)
    let requested = requested(variant)
    var present = componentsInUse & requested
    // In the compacted format MXCSR belongs to the XMM registers.
    if variant.compacts && requested & ExtendedComponents.vectors != 0 && s.pointee.vector.mxcsr != MXCSR.initial {
      present |= ExtendedComponents.vectors
    }
    let saved = variant.omitsInitial ? present : requested
    func offset(_ component: ExtendedComponent) -> UInt64 {
      variant.compacts ? component.compactedOffset(requested) : component.offset
    }
    let behind = ExtendedComponent.all.filter { saved & $0.bit != 0 }
    for component in behind { _ = try checkedArea(op, form, at: offset(component), component.size, write: true) }
    if controls.grants.isEmpty {
      let size = behind.map { offset($0) + $0.size }.max() ?? ExtendedComponent.start
      try probeWrite(address, width: Int(size), privilege: privilege, stack: form.usesStack)
    }
    let old = variant.compacts ? 0 : try loadArea(address &+ 512)

    if saved & ExtendedComponents.x87 != 0 { try saveX87(address, isWide: form.sourceWidth == 8) }
    if saved & ExtendedComponents.vectors != 0 { try saveVectors(address) }
    let withControl =
      variant.compacts
      ? saved & ExtendedComponents.vectors
      : requested & (ExtendedComponents.vectors | ExtendedComponents.upperVectors)
    if withControl != 0 { try saveMXCSR(address) }
    for component in behind { try save(component, at: address &+ offset(component)) }
    if variant.compacts {
      try storeArea(address &+ 512, present)
      try storeArea(address &+ 520, requested | ExtendedComponents.compacted)
    } else {
      try storeArea(address &+ 512, old & ~requested | present)
    }
  }

  private func save(_ component: ExtendedComponent, at address: UInt64) throws(Stopped) {
    switch component.bit {
    case ExtendedComponents.upperVectors:
      for number in 0..<vectorCount {
        try storeVector(address &+ 16 &* UInt64(number), s.pointee.vector.upper[number], stack: false)
      }
    case ExtendedComponents.keys: try storeArea(address, UInt64(s.pointee.pkru))
    default: break
    }
  }

  // MARK: Restoring

  private func restore(_ op: UnsafePointer<Operation>, _ form: OperandForm, _ variant: Variant) throws(Stopped) {
    let address = try areaAddress(op, form, variant, write: false)
    let requested = requested(variant)
    let present = try loadArea(address &+ 512)
    let layout = try loadArea(address &+ 520)
    let isCompacted = layout & ExtendedComponents.compacted != 0
    try checkHeader(address, present: present, layout: layout, variant)

    var state = s.pointee.vector
    if requested & ExtendedComponents.x87 != 0 {
      if present & ExtendedComponents.x87 != 0 {
        try restoreX87(address, isWide: form.sourceWidth == 8, &state)
      } else {
        state.x87 = X87State()
      }
    }
    if requested & ExtendedComponents.vectors != 0 {
      if present & ExtendedComponents.vectors != 0 {
        try restoreVectors(address, &state)
      } else {
        for number in 0..<vectorCount { state.xmm[number] = Vector128() }
      }
    }
    let withControl =
      isCompacted
      ? requested & ExtendedComponents.vectors
      : requested & (ExtendedComponents.vectors | ExtendedComponents.upperVectors)
    if withControl != 0 {
      let isKept = !isCompacted || present & ExtendedComponents.vectors != 0
      state.mxcsr = isKept ? try checkedMXCSR(try loadArea(address &+ 24) & 0xffff_ffff) : MXCSR.initial
    }
    var pkru = s.pointee.pkru
    for component in ExtendedComponent.all where requested & component.bit != 0 {
      let offset = isCompacted ? component.compactedOffset(layout) : component.offset
      let isPresent = present & component.bit != 0
      let source = isPresent ? try checkedArea(op, form, at: offset, component.size) : nil
      try restore(component, from: source, &state, &pkru)
    }
    s.pointee.vector = state
    if pkru != s.pointee.pkru {
      s.pointee.pkru = pkru
      updatePaging()
    }
  }

  /// #GP for a header that says what is not enabled, or of which anything reserved is not zero (SDM vol. 1, 13.8.1,
  /// 13.12).
  private func checkHeader(
    _ address: UInt64, present: UInt64, layout: UInt64, _ variant: Variant
  ) throws(Stopped) {
    var isValid: Bool
    if layout & ExtendedComponents.compacted == 0 {
      isValid = !variant.isSupervisor && present & ~enabled(variant) == 0 && layout == 0
      let reserved = try loadArea(address &+ 528)
      isValid = isValid && reserved == 0
    } else {
      let components = layout & ~ExtendedComponents.compacted
      isValid =
        (features.contains(.xsavec) || features.contains(.xsaves)) && components & ~enabled(variant) == 0
        && present & ~components == 0
      var reserved: UInt64 = 0
      for word in 2..<8 as Range<UInt64> { reserved |= try loadArea(address &+ 512 &+ 8 &* word) }
      isValid = isValid && reserved == 0
    }
    guard isValid else { throw raise(.generalProtection(0)) }
  }

  /// - Parameter address: nil makes the component initial.
  private func restore(
    _ component: ExtendedComponent, from address: UInt64?, _ state: inout VectorState, _ pkru: inout UInt32
  ) throws(Stopped) {
    switch component.bit {
    case ExtendedComponents.upperVectors:
      for number in 0..<vectorCount {
        var value = Vector128()
        if let address { value = try loadVector(address &+ 16 &* UInt64(number), stack: false) }
        state.upper[number] = value
      }
    case ExtendedComponents.keys:
      pkru = 0
      if let address { pkru = UInt32(truncatingIfNeeded: try loadArea(address)) }
    default: break
    }
  }
}
