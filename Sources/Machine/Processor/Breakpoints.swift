/// The breakpoints of DR0 to DR3 (SDM vol. 3, 17.2 and 17.3.1) and alignment checks (6.15, interrupt 17).
///
/// Nobody looks for them while there are none. While a data breakpoint is enabled or alignment is checked, no access
/// hits in the direct cache, so that all of them come by here; while any breakpoint is enabled, instructions are
/// executed one by one.
struct BreakpointKinds: OptionSet {
  let rawValue: UInt8

  // The bit is the value of the register's field R/W in DR7.
  static let execution = BreakpointKinds(rawValue: 1 << 0)
  static let write = BreakpointKinds(rawValue: 1 << 1)
  /// With CR4.DE only.
  static let port = BreakpointKinds(rawValue: 1 << 2)
  static let readOrWrite = BreakpointKinds(rawValue: 1 << 3)
}

extension Processor {
  /// Follows a change of DR7, CR0.AM, EFLAGS.AC or the CPL.
  func updateWatches() {
    let control = s.pointee.debugRegisters[7]
    hasBreakpoints = control & DR7.enables != 0
    // With AM, CPL 3 and AC set (SDM vol. 3, 6.15).
    checksAlignment =
      s.pointee.cpl == 3 && s.pointee.cr0 & CR0.alignmentMask != 0
      && s.pointee.systemFlags & Flag.alignmentCheck != 0
    watchesAccesses = checksAlignment
    guard hasBreakpoints else { return }
    for number in 0..<4 where isEnabled(number) && !kind(of: number).isDisjoint(with: [.write, .readOrWrite]) {
      watchesAccesses = true
    }
  }

  /// Looks at a data access that is about to be made.
  func watch(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) {
    if hasBreakpoints {
      matchedBreakpoints |= breakpoints(
        access.isWrite ? [.write, .readOrWrite] : .readOrWrite, touching: address, width: width)
    }
    try checkAlignment(address, access, width: width)
  }

  /// Operands have the alignment of their width (table 6-7), where that is checked; what the processor reads for itself
  /// is not.
  ///
  /// - Throws: #AC(0). How the faults of one access are ordered is the processor's affair (6.9, table 6-2, which lists
  ///   page faults first): AMD's processors look at the alignment first.
  func checkAlignment(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) {
    // An address that is not canonical has a fault of its own.
    guard checksAlignment, access.isUser, address & (UInt64(width) &- 1) != 0,
      isCanonical(address), isCanonical(address &+ UInt64(width) &- 1)
    else { return }
    if profile.vendor == .amd { throw raise(.alignmentCheck) }
    let room = 4096 - Int(address & 0xfff)
    _ = try translate(address, access, width: min(width, room))
    if width > room {
      _ = try translate((address &+ UInt64(room)) & addressLimit, access, width: width - room)
    }
    throw raise(.alignmentCheck)
  }

  /// Looks at an access to I/O ports that is about to be made (SDM vol. 3, 17.2.4).
  func watchPort(_ port: UInt16, width: Int) {
    guard hasBreakpoints, s.pointee.cr4 & CR4.debuggingExtensions != 0 else { return }
    matchedBreakpoints |= breakpoints(.port, touching: UInt64(port), width: width)
  }

  /// The fault of an instruction breakpoint at RIP, with DR6 as its handler finds it; nil where none hits. RF is pushed
  /// as it is: the handler has to set it, or will be here again (SDM vol. 3, 17.3.1.1).
  func instructionBreakpoint() -> Event? {
    // A granted instruction has been looked at when it was executed first.
    guard s.pointee.systemFlags & Flag.resume == 0, s.pointee.stackShadow != s.pointee.retired,
      controls.grants.isEmpty
    else { return nil }
    let size = s.pointee.codeSize
    let linear = size == .bits64 ? s.pointee.rip : (s.pointee.rip &+ s.pointee[.cs].base) & 0xffff_ffff
    let hits = breakpoints(.execution, touching: linear, width: 1)
    guard hits != 0 else { return nil }
    report(hits)
    return .exception(.debug)
  }

  /// Puts the causes of a debug exception into DR6. B0 to B3 are this exception's; the others stay until software
  /// clears them (SDM vol. 3, 17.2.3).
  func report(_ causes: UInt64) {
    s.pointee.debugRegisters[6] = s.pointee.debugRegisters[6] & ~DR6.breakpoints | causes
  }

  /// The enabled breakpoints of some kinds that a stretch touches, as B0 to B3.
  private func breakpoints(_ kinds: BreakpointKinds, touching address: UInt64, width: Int) -> UInt64 {
    var hits: UInt64 = 0
    for number in 0..<4 where isEnabled(number) && !kind(of: number).isDisjoint(with: kinds) {
      let length = length(of: number)
      // The low bits of the address that its length covers do not count (17.2.5).
      let first = s.pointee.debugRegisters[number] & ~(length &- 1)
      if address &- first < length || first &- address < UInt64(width) { hits |= 1 << UInt64(number) }
    }
    return hits
  }

  private func isEnabled(_ number: Int) -> Bool {
    s.pointee.debugRegisters[7] >> UInt64(2 * number) & 3 != 0
  }

  private func kind(of number: Int) -> BreakpointKinds {
    BreakpointKinds(rawValue: 1 << UInt8((s.pointee.debugRegisters[7] >> UInt64(16 + 4 * number)) & 3))
  }

  /// In bytes. An instruction breakpoint is one of the first byte, whatever its length field.
  private func length(of number: Int) -> UInt64 {
    if kind(of: number) == .execution { return 1 }
    switch (s.pointee.debugRegisters[7] >> UInt64(18 + 4 * number)) & 3 {
    case 0: return 1
    case 1: return 2
    case 2: return 8
    default: return 4
    }
  }
}
