/// Loading segment registers from descriptor tables (SDM vol. 3, 3.4 and 5; vol. 2, MOV).
extension Processor {
  var isProtected: Bool { s.pointee.cr0 & CR0.protectionEnable != 0 }
  var is64BitMode: Bool { s.pointee.codeSize == .bits64 }

  // MARK: Descriptors

  /// The linear address of a selector's descriptor; nil where the table's limit excludes it, or there is no LDT.
  func descriptorAddress(_ selector: UInt16, bytes: UInt64 = 8) -> UInt64? {
    let offset = UInt64(selector & 0xfff8)
    let base: UInt64
    if selector & 4 != 0 {
      let table = s.pointee.ldtr
      guard table.isPresent, offset &+ bytes &- 1 <= UInt64(table.limit) else { return nil }
      base = table.base
    } else {
      guard offset &+ bytes &- 1 <= UInt64(s.pointee.gdtr.limit) else { return nil }
      base = s.pointee.gdtr.base
    }
    return (base &+ offset) & addressLimit
  }

  /// Reads the descriptor of a code or data segment; a system descriptor comes with the lower half of its base.
  func readDescriptor(_ selector: UInt16, otherwise exception: GuestException) throws(Stopped) -> (
    segment: Segment, address: UInt64
  ) {
    guard let address = descriptorAddress(selector) else { throw raise(exception) }
    let low = try loadSystem(address, width: 8)
    return (Descriptor(low: low).segment(selector: selector), address)
  }

  /// Reads a system descriptor, which has sixteen bytes in long mode.
  func readSystemDescriptor(_ selector: UInt16, otherwise exception: GuestException) throws(Stopped) -> (
    descriptor: Descriptor, address: UInt64
  ) {
    let isLong = s.pointee.isLongMode
    guard let address = descriptorAddress(selector, bytes: isLong ? 16 : 8) else { throw raise(exception) }
    let low = try loadSystem(address, width: 8)
    let high = isLong ? try loadSystem(address &+ 8, width: 8) : 0
    return (Descriptor(low: low, high: high), address)
  }

  /// Sets the accessed bit of a segment about to be loaded, in its descriptor too.
  func markAccessed(_ segment: inout Segment, at address: UInt64) throws(Stopped) {
    guard segment.attributes & 1 == 0 else { return }
    try storeSystem((address &+ 5) & addressLimit, width: 1, value: UInt64(segment.attributes & 0xff | 1))
    segment.attributes |= 1
  }

  // MARK: Data and stack segments

  /// Loads ES, SS, DS, FS or GS, as MOV, POP and LDS do.
  func loadSegment(_ register: SegmentRegister, _ selector: UInt16) throws(Stopped) {
    if !isProtected || s.pointee.systemFlags & Flag.virtual8086 != 0 {
      // Limit and attributes stay (SDM vol. 3, 9.9.1 has what follows from it).
      s.pointee[register].selector = selector
      s.pointee[register].base = UInt64(selector) << 4
      return
    }
    if register == .ss {
      s.pointee[.ss] = try stackSegment(selector)
    } else {
      s.pointee[register] = try dataSegment(selector)
    }
  }

  func dataSegment(
    _ selector: UInt16, otherwise exception: (UInt16) -> GuestException = GuestException.generalProtection
  ) throws(Stopped) -> Segment {
    guard selector & 0xfffc != 0 else { return .null(selector) }
    let code = selector & 0xfffc
    var (segment, address) = try readDescriptor(selector, otherwise: exception(code))
    guard segment.isReadable else { throw raise(exception(code)) }
    // Conforming code may be read from every privilege.
    if !segment.isConforming {
      let requested = UInt8(selector & 3)
      guard requested <= segment.privilegeLevel, s.pointee.cpl <= segment.privilegeLevel else {
        throw raise(exception(code))
      }
    }
    guard segment.isPresent else { throw raise(.segmentNotPresent(code)) }
    try markAccessed(&segment, at: address)
    return segment
  }

  private func stackSegment(_ selector: UInt16) throws(Stopped) -> Segment {
    let cpl = s.pointee.cpl
    let code = selector & 0xfffc
    if code == 0 {
      // 64-bit code of CPL 0 to 2 may run without a stack segment.
      guard is64BitMode, cpl != 3, UInt8(selector & 3) == cpl else { throw raise(.generalProtection(0)) }
      return .null(selector)
    }
    return try stackSegment(selector, cpl: cpl, otherwise: GuestException.generalProtection)
  }

  /// Checks and reads a stack segment that is not null for a privilege.
  func stackSegment(
    _ selector: UInt16, cpl: UInt8, otherwise exception: (UInt16) -> GuestException
  ) throws(Stopped) -> Segment {
    let code = selector & 0xfffc
    var (segment, address) = try readDescriptor(selector, otherwise: exception(code))
    guard UInt8(selector & 3) == cpl, segment.privilegeLevel == cpl, segment.isWritable else {
      throw raise(exception(code))
    }
    guard segment.isPresent else { throw raise(.stack(code)) }
    try markAccessed(&segment, at: address)
    return segment
  }

  /// What becomes of data segments on a return to an outer privilege that could not have loaded them: they become null.
  /// Bases stay; in 64-bit code those of FS and GS count still.
  func dropInnerSegments(cpl: UInt8) {
    for register in [SegmentRegister.es, .ds, .fs, .gs] {
      let segment = s.pointee[register]
      guard segment.isPresent, !segment.isConforming, segment.privilegeLevel < cpl else { continue }
      s.pointee[register].selector = 0
      s.pointee[register].attributes = 0
    }
  }

  // MARK: Code segments

  /// L and D both set is reserved in long mode (SDM vol. 3, 5.2.1).
  func checkCodeSize(_ segment: Segment) throws(Stopped) {
    if s.pointee.isLongMode && segment.isLong && segment.isBig {
      throw raise(.generalProtection(segment.selector & 0xfffc))
    }
  }

  /// Raises #GP(0) for a branch target that is not canonical, or beyond the limit of its segment.
  func checkTarget(_ target: UInt64, in segment: Segment) throws(Stopped) {
    let isReachable =
      s.pointee.isLongMode && segment.isLong ? isCanonical(target) : target <= UInt64(segment.limit)
    guard isReachable else { throw raise(.generalProtection(0)) }
  }

  // MARK: Stacks of the task

  /// The stack that the task state has for a privilege, or for an interrupt-stack-table index (SDM vol. 3, 7.2.1 and
  /// 7.7).
  func taskStack(cpl: UInt8, index: UInt64 = 0) throws(Stopped) -> (selector: UInt16, pointer: UInt64) {
    let task = s.pointee.tr
    let invalid = GuestException.invalidTSS(task.selector & 0xfffc)
    let level = UInt64(cpl)
    func field(_ offset: UInt64, _ width: Int) throws(Stopped) -> UInt64 {
      guard task.isPresent, offset &+ UInt64(width) &- 1 <= UInt64(task.limit) else { throw raise(invalid) }
      return try loadSystem((task.base &+ offset) & addressLimit, width: width)
    }
    if s.pointee.isLongMode {
      let pointer = try field(index == 0 ? 4 &+ 8 &* level : 0x24 &+ 8 &* (index &- 1), 8)
      guard isCanonical(pointer) else { throw raise(.stack(0)) }
      return (UInt16(cpl), pointer)
    }
    if task.type & 8 == 0 {
      let pointer = try field(2 &+ 4 &* level, 2)
      return (UInt16(truncatingIfNeeded: try field(4 &+ 4 &* level, 2)), pointer)
    }
    let pointer = try field(4 &+ 8 &* level, 4)
    return (UInt16(truncatingIfNeeded: try field(8 &+ 8 &* level, 2)), pointer)
  }

  /// The task's stack for an inner privilege of protected mode, its segment checked.
  func innerStack(cpl: UInt8) throws(Stopped) -> StackCursor {
    let (selector, pointer) = try taskStack(cpl: cpl)
    guard selector & 0xfffc != 0 else { throw raise(.invalidTSS(0)) }
    let segment = try stackSegment(selector, cpl: cpl, otherwise: GuestException.invalidTSS)
    return .segmented(segment, pointer, cpl: cpl, errorCode: selector & 0xfffc)
  }
}

extension Segment {
  /// A register that holds a null selector.
  static func null(_ selector: UInt16) -> Segment { Segment(selector: selector, base: 0, limit: 0, attributes: 0) }
}
