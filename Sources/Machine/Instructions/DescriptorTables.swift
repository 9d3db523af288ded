/// GDTR, IDTR, LDTR and TR (SDM vol. 2: LGDT, LIDT, SGDT, SIDT, LLDT, SLDT, LTR, STR).
extension Processor {
  /// UMIP keeps SGDT, SIDT, SLDT, SMSW and STR to ring 0.
  func checkUMIP() throws(Stopped) {
    if s.pointee.cr4 & CR4.umip != 0 && s.pointee.cpl != 0 { throw raise(.generalProtection(0)) }
  }

  // MARK: GDTR and IDTR

  func loadGDT(_ op: UnsafePointer<Operation>) throws(Stopped) { s.pointee.gdtr = try tableOperand(op) }
  func loadIDT(_ op: UnsafePointer<Operation>) throws(Stopped) { s.pointee.idtr = try tableOperand(op) }
  func storeGDT(_ op: UnsafePointer<Operation>) throws(Stopped) { try storeTable(s.pointee.gdtr, op) }
  func storeIDT(_ op: UnsafePointer<Operation>) throws(Stopped) { try storeTable(s.pointee.idtr, op) }

  private func tableOperand(_ op: UnsafePointer<Operation>) throws(Stopped) -> DescriptorTable {
    try requireRing0()
    let form = OperandForm(op)
    let address = effectiveAddress(op)
    let limit = try load(address, width: 2, stack: form.usesStack)
    var base = try load((address &+ 2) & addressLimit, width: form.width == 8 ? 8 : 4, stack: form.usesStack)
    // With an operand size of 16 bits the base has 24.
    if form.width == 2 { base &= 0xff_ffff }
    if form.width == 8 && !isCanonicalBase(base) { throw raise(.generalProtection(0)) }
    return DescriptorTable(base: base, limit: UInt16(truncatingIfNeeded: limit))
  }

  private func storeTable(_ table: DescriptorTable, _ op: UnsafePointer<Operation>) throws(Stopped) {
    try checkUMIP()
    let form = OperandForm(op)
    let address = effectiveAddress(op)
    let baseAddress = (address &+ 2) & addressLimit
    let width = form.width == 8 ? 8 : 4
    try probeWrite(address, width: 2, privilege: privilege, stack: form.usesStack)
    try probeWrite(baseAddress, width: width, privilege: privilege, stack: form.usesStack)
    try store(address, width: 2, value: UInt64(table.limit), stack: form.usesStack)
    try store(baseAddress, width: width, value: table.base.truncated(to: width), stack: form.usesStack)
  }

  // MARK: LDTR and TR

  func loadLDT(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let selector = try selectorToLoad(op)
    let named = selector & 0xfffc
    if named == 0 {
      s.pointee.ldtr = .null(selector)
      return
    }
    guard selector & 4 == 0 else { throw raise(.generalProtection(named)) }
    let (descriptor, _) = try readSystemDescriptor(selector, otherwise: .generalProtection(named))
    let table = descriptor.segment(selector: selector)
    guard !table.isCodeOrData, table.type == 2 else { throw raise(.generalProtection(named)) }
    try checkSystemBase(descriptor, table, named)
    guard table.isPresent else { throw raise(.segmentNotPresent(named)) }
    s.pointee.ldtr = table
  }

  func loadTask(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let selector = try selectorToLoad(op)
    let named = selector & 0xfffc
    guard named != 0 else { throw raise(.generalProtection(0)) }
    guard selector & 4 == 0 else { throw raise(.generalProtection(named)) }
    let (descriptor, address) = try readSystemDescriptor(selector, otherwise: .generalProtection(named))
    var task = descriptor.segment(selector: selector)
    // An available TSS, of 64 bits in long mode.
    guard !task.isCodeOrData, task.type == 9 || task.type == 1 && !s.pointee.isLongMode else {
      throw raise(.generalProtection(named))
    }
    try checkSystemBase(descriptor, task, named)
    guard task.isPresent else { throw raise(.segmentNotPresent(named)) }
    // It becomes busy, in its descriptor too.
    task.attributes |= 2
    try storeSystem((address &+ 5) & addressLimit, width: 1, value: UInt64(task.attributes & 0xff))
    s.pointee.tr = task
  }

  /// The operand of LLDT and LTR, which exist in protected mode and ring 0.
  private func selectorToLoad(_ op: UnsafePointer<Operation>) throws(Stopped) -> UInt16 {
    guard isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else { throw raise(.invalidOpcode) }
    try requireRing0()
    return try readSelectorOperand(op)
  }

  /// In long mode the type field of the upper half is zero and the base canonical.
  private func checkSystemBase(_ descriptor: Descriptor, _ segment: Segment, _ named: UInt16) throws(Stopped) {
    guard s.pointee.isLongMode else { return }
    guard descriptor.high & 0x1f00_0000_0000 == 0, isCanonicalBase(segment.base) else {
      throw raise(.generalProtection(named))
    }
  }

  func storeLDT(_ op: UnsafePointer<Operation>) throws(Stopped) { try storeSelector(s.pointee.ldtr.selector, op) }
  func storeTask(_ op: UnsafePointer<Operation>) throws(Stopped) { try storeSelector(s.pointee.tr.selector, op) }

  private func storeSelector(_ selector: UInt16, _ op: UnsafePointer<Operation>) throws(Stopped) {
    guard isProtected, s.pointee.systemFlags & Flag.virtual8086 == 0 else { throw raise(.invalidOpcode) }
    try checkUMIP()
    try writeResultOperand(op, UInt64(selector))
  }
}
