/// How instructions reach memory: a hit inline, a miss by name.
extension Processor {
  // MARK: Failing

  /// Makes the instruction raise an exception: `throw raise(...)`.
  func raise(_ exception: GuestException) -> Stopped {
    stop = .exception(exception)
    return Stopped()
  }

  /// Makes the instruction exit to the hypervisor.
  func exit(_ exit: VMExit) -> Stopped {
    stop = .exit(exit)
    return Stopped()
  }

  /// Makes the instruction go on later from where it stands.
  func again() -> Stopped {
    stop = .again
    return Stopped()
  }

  /// Makes the processor wait before the instruction for an interrupt.
  func freeze() -> Stopped {
    stop = .frozen
    s.pointee.isHalted = true
    return Stopped()
  }

  /// Ends the run: the guest did what Penumbra does not do.
  func unsupported(_ what: String) -> Stopped {
    stop = .unsupported(what)
    return Stopped()
  }

  // MARK: Registers

  @inline(__always) func effectiveAddress(_ op: UnsafePointer<Operation>) -> UInt64 {
    let o = op.pointee
    return s.pointee.slots[Int(o.base)] &+ (s.pointee.slots[Int(o.index)] &<< UInt64(o.scale))
      &+ UInt64(bitPattern: Int64(o.disp))
  }

  /// A general register, zero-extended from `width` bytes; `Slot.highByte` selects AH, CH, DH, BH.
  @inline(__always) func register(_ code: UInt8, width: Int) -> UInt64 {
    if code & Slot.highByte != 0 { return (s.pointee.slots[Int(code & 3)] >> 8) & 0xff }
    let value = s.pointee.slots[Int(code & 31) % Int(Slot.count)]
    switch width {
    case 1: return value & 0xff
    case 2: return value & 0xffff
    case 4: return value & 0xffff_ffff
    default: return value
    }
  }

  /// Writes a general register: 8 and 16 bits merge, 32 zero-extend.
  @inline(__always) func setRegister(_ code: UInt8, width: Int, _ value: UInt64) {
    if code & Slot.highByte != 0 {
      let slot = Int(code & 3)
      s.pointee.slots[slot] = s.pointee.slots[slot] & ~0xff00 | (value & 0xff) << 8
      return
    }
    let slot = Int(code & 15)
    switch width {
    case 1: s.pointee.slots[slot] = s.pointee.slots[slot] & ~0xff | value & 0xff
    case 2: s.pointee.slots[slot] = s.pointee.slots[slot] & ~0xffff | value & 0xffff
    case 4: s.pointee.slots[slot] = value & 0xffff_ffff
    default: s.pointee.slots[slot] = value
    }
  }

  // MARK: Loads and stores of callouts

  /// The privilege of an explicit access now.
  @inline(__always) var privilege: Privilege { s.pointee.cpl == 3 ? .user : .supervisor }

  /// Loads 1, 2, 4 or 8 bytes, zero-extended.
  func load(_ address: UInt64, width: Int, stack: Bool = false) throws(Stopped) -> UInt64 {
    s.pointee.accesses &+= 1
    return try loadSlow(address, Access(.read, privilege), width: width, stack: stack)
  }

  /// The read of a read-modify-write: checked and reported as a write, as silicon does.
  func loadForUpdate(_ address: UInt64, width: Int, stack: Bool = false) throws(Stopped) -> UInt64 {
    s.pointee.accesses &+= 1
    return try loadSlow(address, Access(.write, privilege), width: width, stack: stack)
  }

  func store(_ address: UInt64, width: Int, value: UInt64, stack: Bool = false) throws(Stopped) {
    s.pointee.accesses &+= 1
    try storeSlow(address, Access(.write, privilege), width: width, value: value, stack: stack)
  }

  /// Loads on behalf of a privilege other than the CPL's.
  func loadAs(_ privilege: Privilege, _ address: UInt64, width: Int) throws(Stopped) -> UInt64 {
    s.pointee.accesses &+= 1
    return try loadSlow(address, Access(.read, privilege), width: width, stack: false)
  }

  func storeAs(_ privilege: Privilege, _ address: UInt64, width: Int, value: UInt64, stack: Bool = true)
    throws(Stopped)
  {
    s.pointee.accesses &+= 1
    try storeSlow(address, Access(.write, privilege), width: width, value: value, stack: stack)
  }

  /// The processor's own accesses to descriptor tables and task state.
  func loadSystem(_ address: UInt64, width: Int) throws(Stopped) -> UInt64 {
    try loadAs(.implicitSupervisor, address, width: width)
  }

  func storeSystem(_ address: UInt64, width: Int, value: UInt64) throws(Stopped) {
    try storeAs(.implicitSupervisor, address, width: width, value: value, stack: false)
  }

  /// Checks that a store of `width` bytes (up to 4096) could be made, without making it.
  func probeWrite(_ address: UInt64, width: Int, privilege: Privilege, stack: Bool = true) throws(Stopped) {
    let access = Access(.write, privilege)
    try checkCanonical(address, width: width, stack: stack)
    if !hasGrantedStore(address, width: width) { _ = try translate(address, access, width: width) }
    let last = address &+ UInt64(max(width, 1)) &- 1
    guard last & ~0xfff != address & ~0xfff, !hasGrantedStore(last & ~0xfff, width: width) else { return }
    _ = try translate(last & ~0xfff, access, width: width)
  }

  /// Sixteen bytes, lower half first. Nothing of a store is done unless all of it can be.
  func loadWideForUpdate(_ address: UInt64, stack: Bool) throws(Stopped) -> (low: UInt64, high: UInt64) {
    try probeWrite(address, width: 16, privilege: privilege, stack: stack)
    let low = try loadForUpdate(address, width: 8)
    return (low, try loadForUpdate(address &+ 8, width: 8))
  }

  func storeWide(_ address: UInt64, low: UInt64, high: UInt64, stack: Bool) throws(Stopped) {
    try probeWrite(address, width: 16, privilege: privilege, stack: stack)
    try store(address, width: 8, value: low)
    try store(address &+ 8, width: 8, value: high)
  }

  // MARK: Slow paths

  @inline(__always)
  private func checkCanonical(_ address: UInt64, width: Int, stack: Bool) throws(Stopped) {
    guard isCanonical(address), isCanonical(address &+ UInt64(width) &- 1) else {
      throw raise(stack ? .stack(0) : .generalProtection(0))
    }
  }

  /// A load that is not a hit: translated, possibly across a page or from a device.
  @inline(__always)
  func loadSlow(
    _ address: UInt64, _ access: Access, width: Int, stack: Bool
  ) throws(Stopped) -> UInt64 {
    if !hasVerdicts {
      if watchesAccesses { try watch(address, access, width: width) }
      if !controls.grants.isEmpty, let value = grantedLoad(address, width: width) { return value }
    }
    let value: UInt64
    if Int(address & 0xfff) + width <= 4096 {
      guard isCanonical(address) else { throw raise(stack ? .stack(0) : .generalProtection(0)) }
      value = readHost(try translate(address, access, width: width), width: width)
      if watchesMemory { noteWatched(address, width: width, isWrite: false) }
    } else {
      value = try loadAcross(address, access, width: width, stack: stack)
    }
    leaveIfDue()
    return value
  }

  @inline(never)
  private func loadAcross(_ address: UInt64, _ access: Access, width: Int, stack: Bool) throws(Stopped) -> UInt64 {
    try checkCanonical(address, width: width, stack: stack)
    let room = 4096 - Int(address & 0xfff)
    s.pointee.accesses &+= 1
    let first = try part(address, access, width: room)
    let second = try part(secondPage(address, after: room, access), access, width: width - room)
    if watchesMemory { noteWatched(address, width: width, isWrite: false) }
    let low = readPart(first, width: room)
    return low | readPart(second, width: width - room) &<< UInt64(8 * room)
  }

  /// One page's part of an access across two: in memory or a device's register, or what the hypervisor has resolved.
  private enum Part {
    case host(HostPhysical)
    case granted(UInt64)
  }

  private func part(_ address: UInt64, _ access: Access, width: Int) throws(Stopped) -> Part {
    if !controls.grants.isEmpty, let value = grantedLoad(address, width: width) { return .granted(value) }
    return .host(try translate(address, access, width: width))
  }

  private func readPart(_ part: Part, width: Int) -> UInt64 {
    switch part {
    case .host(let host): readHost(host, width: width)
    case .granted(let value): value.truncated(to: width)
    }
  }

  /// A store that is not a hit.
  @inline(__always)
  func storeSlow(
    _ address: UInt64, _ access: Access, width: Int, value: UInt64, stack: Bool
  ) throws(Stopped) {
    if !hasVerdicts {
      if watchesAccesses { try watch(address, access, width: width) }
      if !controls.grants.isEmpty, grantedStore(address, width: width, value: value) { return }
    }
    if Int(address & 0xfff) + width <= 4096 {
      guard isCanonical(address) else { throw raise(stack ? .stack(0) : .generalProtection(0)) }
      writeHost(try translate(address, access, width: width), width: width, value: value)
      if watchesMemory { noteWatched(address, width: width, isWrite: true) }
    } else {
      try storeAcross(address, access, width: width, value: value, stack: stack)
    }
    leaveIfDue()
  }

  /// Both pages of a store across two are translated before either is written.
  @inline(never)
  private func storeAcross(
    _ address: UInt64, _ access: Access, width: Int, value: UInt64, stack: Bool
  ) throws(Stopped) {
    try checkCanonical(address, width: width, stack: stack)
    let room = 4096 - Int(address & 0xfff)
    s.pointee.accesses &+= 1
    let next = secondPage(address, after: room, access)
    // Nil: the hypervisor wants to hear of it.
    let first = hasGrantedStore(address, width: room) ? nil : try translate(address, access, width: room)
    let second = hasGrantedStore(next, width: width - room) ? nil : try translate(next, access, width: width - room)
    if watchesMemory { noteWatched(address, width: width, isWrite: true) }
    writePart(first, address, width: room, value: value)
    writePart(second, next, width: width - room, value: value >> UInt64(8 * room))
  }

  private func writePart(_ host: HostPhysical?, _ address: UInt64, width: Int, value: UInt64) {
    if let host {
      writeHost(host, width: width, value: value)
    } else {
      _ = grantedStore(address, width: width, value: value.truncated(to: width))
    }
  }

  /// The linear address of the second page of an access that crosses into it. Those of a program have 32 bits outside
  /// 64-bit mode and wrap there (SDM vol. 3, 3.3); those of the processor itself have 64 in all of long mode.
  private func secondPage(_ address: UInt64, after room: Int, _ access: Access) -> UInt64 {
    let isWide = access.privilege == .implicitSupervisor ? s.pointee.isLongMode : s.pointee.codeSize == .bits64
    return (address &+ UInt64(room)) & (isWide ? .max : 0xffff_ffff)
  }

  /// Bytes at a host address, or a device's register. `width` may be odd for a part of an access across two pages.
  @inline(__always)
  private func readHost(_ host: HostPhysical, width: Int) -> UInt64 {
    guard memory.contains(host) else { return readRegister(GuestPhysical(host.rawValue), width: width) }
    if options.dataCache != .off { touchDataCache(host) }
    if watchesMemory { noteWatchedRead(of: host, width: width) }
    return Processor.read(memory.base + Int(host.rawValue), width: width)
  }

  /// Bytes in the host.
  @inline(__always)
  static func read(_ place: UnsafeMutableRawPointer, width: Int) -> UInt64 {
    switch width {
    case 1: return UInt64(place.loadUnaligned(as: UInt8.self))
    case 2: return UInt64(place.loadUnaligned(as: UInt16.self))
    case 4: return UInt64(place.loadUnaligned(as: UInt32.self))
    case 8: return place.loadUnaligned(as: UInt64.self)
    default:
      var value: UInt64 = 0
      for index in 0..<width {
        value |= UInt64((place + index).loadUnaligned(as: UInt8.self)) << UInt64(8 * index)
      }
      return value
    }
  }

  private func writeHost(_ host: HostPhysical, width: Int, value: UInt64) {
    guard memory.contains(host) else { return writeRegister(GuestPhysical(host.rawValue), width: width, value: value) }
    if options.dataCache != .off { touchDataCache(host) }
    memory.touch(host)
    noteWrite(to: host, width: width)
    Processor.write(value, to: memory.base + Int(host.rawValue), width: width)
  }

  @inline(__always)
  static func write(_ value: UInt64, to place: UnsafeMutableRawPointer, width: Int) {
    switch width {
    case 1: place.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    case 2: place.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case 4: place.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    case 8: place.storeBytes(of: value, as: UInt64.self)
    default:
      for index in 0..<width {
        (place + index).storeBytes(of: UInt8(truncatingIfNeeded: value >> UInt64(8 * index)), as: UInt8.self)
      }
    }
  }

  /// Charges a data access to the cache level that serves it (`cache.data`).
  private func touchDataCache(_ host: HostPhysical) {
    translation.tick &+= 1
    let full = options.dataCache == .full
    let served =
      full
      ? translation.caches.dataReference(host.rawValue, tick: translation.tick)
      : translation.caches.reference(host.rawValue, tick: translation.tick)
    switch served {
    case .l1:
      counters.dataReferences[0] &+= 1
    case .l2:
      counters.dataReferences[1] &+= 1
      if full { charge(.cacheL2, costs.cacheL2Hit) }
    case .l3:
      counters.dataReferences[2] &+= 1
      charge(.cacheL3, costs.cacheL3Hit)
    case .memory:
      counters.dataReferences[3] &+= 1
      charge(.cacheMemory, costs.cacheMemory)
    }
  }

  // MARK: Devices

  private func readRegister(_ address: GuestPhysical, width: Int) -> UInt64 {
    counters.deviceAccesses &+= 1
    charge(.io, costs.deviceAccess)
    defer { deviceChanged() }
    return bus.readRegister(address, width: width, processor: index, now: nowInBlock)
  }

  private func writeRegister(_ address: GuestPhysical, width: Int, value: UInt64) {
    counters.deviceAccesses &+= 1
    charge(.io, costs.deviceAccess)
    bus.writeRegister(address, width: width, value: value, processor: index, now: nowInBlock)
    deviceChanged()
  }

  /// The guest's time at the current instruction, wherever in its block it stands: the account has the block's earlier
  /// instructions only when it is left.
  private var nowInBlock: UInt64 {
    guard let op = currentOperation, op.pointee.indexInBlock > 0 else { return now }
    guard options.clock == .cycles else { return now &+ UInt64(op.pointee.indexInBlock) &* options.ticks }
    var cycles: UInt64 = 0
    var at = op
    repeat {
      at -= 1
      cycles &+= UInt64(at.pointee.cycles)
    } while at.pointee.indexInBlock > 0
    return now &+ cycles
  }

  /// After a device was touched: its next deadline may have moved, and it may have asked the machine to end.
  func deviceChanged() {
    setDeadlines()
    // What it means for another processor, that one should see at once.
    yield()
    if isAlone || sharesTime || bus.shutdown != nil || !bus.signals(processor: index).isEmpty {
      s.pointee.executedDeadline = 0
    }
  }

  // MARK: Grants

  func grantedMemory(_ address: UInt64, _ access: Access) -> HostPhysical? {
    for number in 0..<controls.grants.count {
      let grant = controls.grants[number]
      guard grant.address.rawValue & ~0xfff == address & ~0xfff, case .memory(let host) = grant.target else { continue }
      return HostPhysical(host.rawValue & ~0xfff | address & 0xfff)
    }
    return nil
  }

  private func grantedLoad(_ address: UInt64, width: Int) -> UInt64? {
    for number in 0..<controls.grants.count {
      let grant = controls.grants[number]
      guard grant.address.rawValue == address, Int(grant.width) == width, case .deviceRead(let value) = grant.target
      else { continue }
      return value
    }
    return nil
  }

  /// Whether the hypervisor has resolved a store to a device's register.
  private func hasGrantedStore(_ address: UInt64, width: Int) -> Bool {
    for number in 0..<controls.grants.count {
      let grant = controls.grants[number]
      if grant.address.rawValue == address && Int(grant.width) == width && grant.target == .deviceWrite { return true }
    }
    return false
  }

  private func grantedStore(_ address: UInt64, width: Int, value: UInt64) -> Bool {
    guard hasGrantedStore(address, width: width) else { return false }
    grantedStores.append(
      GrantedStore(
        address: GuestVirtual(address), width: UInt8(truncatingIfNeeded: width), value: value, time: now))
    return true
  }
}
