/// Switches of tasks by hardware, in protected mode (SDM vol. 3, 7.3).
///
/// A switch has two parts. The first reads the new task state, makes sure that the old one can be written, and then
/// exchanges registers: whatever fails there belongs to the old task, and has changed nothing. The second, before the new
/// task's first instruction, loads what its CR3 and its selectors name: whatever fails there belongs to the new task.
/// Either can exit to the hypervisor and be begun again.
extension Processor {
  enum TaskSwitchCause {
    case jump, call, interruptReturn
    case event(Event)
  }

  /// What of a task state is loaded and saved, and where it stands (figures 7-2 and 7-10).
  private struct TaskLayout {
    var width: UInt64
    var isWide: Bool { width == 4 }
    /// EIP; EFLAGS and the eight general registers follow, then ES, CS, SS, DS and, of 32 bits, FS and GS; then the LDT.
    var saved: UInt64 { isWide ? 0x20 : 0x0e }
    var segments: [SegmentRegister] { isWide ? [.es, .cs, .ss, .ds, .fs, .gs] : [.es, .cs, .ss, .ds] }
    /// The end of what is saved.
    var end: UInt64 { saved &+ (10 &+ UInt64(segments.count)) &* width }
    /// The least limit of a new task's state.
    var leastLimit: UInt32 { isWide ? 0x67 : 0x2b }

    init(_ task: Segment) { width = task.type & 8 != 0 ? 4 : 2 }
  }

  /// Switches to the task of a selector that has been found in the place of `cause`; its privilege has been checked.
  func switchTask(to selector: UInt16, _ cause: TaskSwitchCause) throws(Stopped) {
    let named = selector & 0xfffc
    var isReturn = false
    if case .interruptReturn = cause { isReturn = true }
    let invalid = isReturn ? GuestException.invalidTSS(named) : .generalProtection(named)
    guard selector & 4 == 0 else { throw raise(invalid) }
    var (task, descriptor) = try readDescriptor(selector, otherwise: invalid)
    // IRET goes back to a busy task, everything else to an available one.
    guard !task.isCodeOrData, task.type & ~8 == (isReturn ? 3 : 1) else { throw raise(invalid) }
    guard task.isPresent else { throw raise(.segmentNotPresent(named)) }
    let layout = TaskLayout(task)
    guard task.limit >= layout.leastLimit else { throw raise(.invalidTSS(named)) }

    let old = s.pointee.tr
    let oldLayout = TaskLayout(old)
    let oldNamed = old.selector & 0xfffc
    guard old.isPresent, UInt64(old.limit) >= oldLayout.end &- 1,
      let oldDescriptor = descriptorAddress(old.selector)
    else { throw raise(.invalidTSS(oldNamed)) }

    let image = try readTask(task, layout)
    // Whether the old task stays busy, and the new one is linked to it.
    var nests = false
    switch cause {
    case .call, .event: nests = true
    case .jump, .interruptReturn: break
    }
    let oldBusy = try loadSystem((oldDescriptor &+ 5) & addressLimit, width: 1)
    try probeSystem(old, oldLayout.saved, oldLayout.end &- oldLayout.saved)
    if !nests { try probeWrite((oldDescriptor &+ 5) & addressLimit, width: 1, privilege: .implicitSupervisor) }
    if !isReturn { try probeWrite((descriptor &+ 5) & addressLimit, width: 1, privilege: .implicitSupervisor) }
    if nests { try probeSystem(task, 0, 2) }

    // Nothing below can fail.
    try saveTask(old, oldLayout, cause)
    if !nests { try storeSystem((oldDescriptor &+ 5) & addressLimit, width: 1, value: oldBusy & ~2) }
    task.attributes |= 2
    if !isReturn {
      try storeSystem((descriptor &+ 5) & addressLimit, width: 1, value: UInt64(task.attributes & 0xff))
    }
    if nests { try storeSystem(task.base, width: 2, value: UInt64(old.selector)) }
    task.selector = named
    enter(task, layout, image, nests: nests)
    if case .event(.exception(let exception)) = cause, exception.hasErrorCode {
      s.pointee.taskSwitch.errorCode = exception.errorCode
    }
  }

  private func field(_ task: Segment, _ offset: UInt64) -> UInt64 { (task.base &+ offset) & addressLimit }

  private func probeSystem(_ task: Segment, _ offset: UInt64, _ count: UInt64) throws(Stopped) {
    try probeWrite(field(task, offset), width: Int(count), privilege: .implicitSupervisor)
  }

  // MARK: The first part

  /// What a new task begins with.
  private struct TaskImage {
    var cr3: UInt64?
    var rip: UInt64
    var flags: UInt64
    var registers: InlineArray<8, UInt64>
    var selectors: InlineArray<6, UInt16>
    var ldt: UInt16
    var traps: Bool
  }

  private func readTask(_ task: Segment, _ layout: TaskLayout) throws(Stopped) -> TaskImage {
    let width = Int(layout.width)
    func value(_ index: UInt64) throws(Stopped) -> UInt64 {
      try loadSystem(field(task, layout.saved &+ index &* layout.width), width: width)
    }
    var image = TaskImage(
      rip: try value(0), flags: try value(1), registers: InlineArray(repeating: 0),
      selectors: InlineArray(repeating: 0), ldt: 0, traps: false)
    for number in 0..<8 { image.registers[number] = try value(2 &+ UInt64(number)) }
    for (place, register) in layout.segments.enumerated() {
      image.selectors[Int(register.rawValue)] = UInt16(truncatingIfNeeded: try value(10 &+ UInt64(place)))
    }
    image.ldt = UInt16(truncatingIfNeeded: try value(10 &+ UInt64(layout.segments.count)))
    if layout.isWide {
      image.cr3 = try loadSystem(field(task, 0x1c), width: 4)
      image.traps = try loadSystem(field(task, 0x64), width: 1) & 1 != 0
    }
    return image
  }

  private func saveTask(_ task: Segment, _ layout: TaskLayout, _ cause: TaskSwitchCause) throws(Stopped) {
    let width = Int(layout.width)
    var flags = s.pointee.rflags
    var rip = s.pointee.rip
    switch cause {
    case .event(let event): (flags, rip) = (flagsImage(event), returnAddress(event))
    case .interruptReturn: flags &= ~Flag.nestedTask
    case .jump, .call: break
    }
    func store(_ index: UInt64, _ value: UInt64) throws(Stopped) {
      let address = field(task, layout.saved &+ index &* layout.width)
      try storeSystem(address, width: width, value: value.truncated(to: width))
    }
    try store(0, rip)
    try store(1, flags)
    for slot in Slot.rax...Slot.rdi { try store(2 &+ UInt64(slot), s.pointee.slots[Int(slot)]) }
    for (place, register) in layout.segments.enumerated() {
      // Of a selector's field of 32 bits the upper half is left alone.
      let address = field(task, layout.saved &+ (10 &+ UInt64(place)) &* layout.width)
      try storeSystem(address, width: 2, value: UInt64(s.pointee[register].selector))
    }
  }

  /// Makes the new task's registers the processor's. What selectors name is loaded in the second part.
  private func enter(_ task: Segment, _ layout: TaskLayout, _ image: TaskImage, nests: Bool) {
    s.pointee.tr = task
    s.pointee.cr0 |= CR0.taskSwitched
    for number in 0..<8 { s.pointee.slots[number] = image.registers[number] }
    s.pointee.rip = image.rip
    s.pointee.rflags = image.flags | (nests ? Flag.nestedTask : 0)
    for register in SegmentRegister.allCases { s.pointee[register] = .null(image.selectors[Int(register.rawValue)]) }
    s.pointee.ldtr = .null(image.ldt)
    let isVirtual8086 = s.pointee.systemFlags & Flag.virtual8086 != 0
    s.pointee.cpl = isVirtual8086 ? 3 : UInt8(s.pointee[.cs].selector & 3)
    s.pointee.debugRegisters[7] &= ~DR7.local
    s.pointee.isHalted = false
    s.pointee.taskSwitch = PendingTaskSwitch(
      isActive: true, isWide: layout.isWide, traps: image.traps, cr3: image.cr3)
    singleStep = false
    matchedBreakpoints = 0
    updatePaging()
  }

  // MARK: The second part

  /// Completes a switch before the next instruction.
  ///
  /// - Throws: an exception of the new task's, or an exit after which this is to be done again.
  func loadTaskSegments() throws(Stopped) {
    let pending = s.pointee.taskSwitch
    // A switch that does not change CR3 invalidates nothing (SDM vol. 3, 4.10.4.1).
    if let cr3 = pending.cr3, s.pointee.cr0 & CR0.paging != 0, cr3 != s.pointee.cr3 { try loadCR3OfTask(cr3) }
    s.pointee.ldtr = try localTable(s.pointee.ldtr.selector)
    if s.pointee.systemFlags & Flag.virtual8086 != 0 {
      for register in SegmentRegister.allCases { s.pointee[register] = .virtual8086(s.pointee[register].selector) }
    } else {
      let code = try codeSegmentOfTask(s.pointee[.cs].selector)
      s.pointee[.cs] = code
      let stack = s.pointee[.ss].selector
      guard stack & 0xfffc != 0 else { throw raise(.invalidTSS(0)) }
      s.pointee[.ss] = try stackSegment(stack, cpl: s.pointee.cpl, otherwise: GuestException.invalidTSS)
      for register in [SegmentRegister.ds, .es, .fs, .gs] {
        s.pointee[register] = try dataSegment(s.pointee[register].selector, otherwise: GuestException.invalidTSS)
      }
    }
    codeSize = s.pointee.codeSize
    try checkTarget(s.pointee.rip, in: s.pointee[.cs])
    if let errorCode = pending.errorCode {
      var stack = currentStack()
      try pushValue(UInt64(errorCode), width: pending.isWide ? 4 : 2, on: &stack)
      commit(stack)
    }
    s.pointee.taskSwitch = PendingTaskSwitch()
    if pending.traps { s.pointee.pendingDebug |= DR6.taskSwitch }
    updatePaging()
  }

  private func localTable(_ selector: UInt16) throws(Stopped) -> Segment {
    let named = selector & 0xfffc
    guard named != 0 else { return .null(selector) }
    guard selector & 4 == 0 else { throw raise(.invalidTSS(named)) }
    let (table, _) = try readDescriptor(selector, otherwise: .invalidTSS(named))
    guard !table.isCodeOrData, table.type == 2, table.isPresent else { throw raise(.invalidTSS(named)) }
    return table
  }

  private func codeSegmentOfTask(_ selector: UInt16) throws(Stopped) -> Segment {
    let named = selector & 0xfffc
    guard named != 0 else { throw raise(.invalidTSS(0)) }
    var (code, address) = try readDescriptor(selector, otherwise: .invalidTSS(named))
    let cpl = s.pointee.cpl
    guard code.isCode, code.isConforming ? code.privilegeLevel <= cpl : code.privilegeLevel == cpl else {
      throw raise(.invalidTSS(named))
    }
    guard code.isPresent else { throw raise(.segmentNotPresent(named)) }
    try markAccessed(&code, at: address)
    return code
  }
}

/// The second part of a task switch, which is due before the next instruction.
@frozen public struct PendingTaskSwitch: Equatable, Sendable {
  public var isActive = false
  /// The task state is one of 32 bits.
  public var isWide = false
  /// T: a debug trap comes before the task's first instruction.
  public var traps = false
  /// What the new task state has for CR3; nil for one of 16 bits.
  public var cr3: UInt64?
  /// The error code of the exception that switched tasks.
  public var errorCode: UInt32?

  public init(isActive: Bool = false, isWide: Bool = false, traps: Bool = false, cr3: UInt64? = nil) {
    (self.isActive, self.isWide, self.traps, self.cr3) = (isActive, isWide, traps, cr3)
  }
}

extension Segment {
  /// A segment of virtual-8086 mode: 64 KiB from its selector on, of ring 3 (SDM vol. 3, 20.2).
  static func virtual8086(_ selector: UInt16) -> Segment {
    Segment(selector: selector, base: UInt64(selector) << 4, limit: 0xffff, attributes: 0xf3)
  }
}
