import Machine

/// An instruction that the hardware executes with accesses that the hypervisor has resolved (assisted re-execution),
/// until the exit `assisted`.
///
/// While accesses remain that need resolving, the hardware exits again and grants are added to `VMControls.grants`; values
/// read from devices are kept there, so that each device is read once.
struct Assist {
  /// The guest-physical address of each granted device access.
  var devices: [Device] = []

  struct Device {
    var linear: GuestVirtual
    var physical: GuestPhysical
    var isWrite: Bool
    var width: UInt8
  }
}

extension Hypervisor {
  /// Adds a grant to the instruction at which the guest stands.
  func grant(
    _ address: GuestVirtual, _ target: Grant.Target, width: UInt8 = 0, device: GuestPhysical? = nil
  ) {
    running.controls.grants.append(Grant(address: address, target: target, width: width))
    if running.assist == nil { running.assist = Assist() }
    if let device {
      running.assist?.devices.append(
        .init(linear: address, physical: device, isWrite: target == .deviceWrite, width: width))
    }
  }

  /// Resolves an access to a guest-physical address that is not memory.
  ///
  /// A read's value is fetched from the device now; a write reaches it when the instruction is done. An instruction
  /// that reads and writes one register, whose read counts as a write, faults twice.
  func accessDevice(_ exit: VMExit, at address: GuestPhysical) -> RunResult? {
    if exit.access.isFetch {
      // The bus answers with ones, and FF FF is no instruction.
      inject(.exception(.invalidOpcode), during: exit)
      return nil
    }
    work(.exitHandler(exit.reason), .device)
    let known = (assist?.devices ?? []).filter { $0.linear == exit.address && $0.width == exit.width }
    if exit.access.isWrite && !known.contains(where: \.isWrite) {
      grant(exit.address, .deviceWrite, width: exit.width, device: address)
    } else if !known.contains(where: { !$0.isWrite }) {
      let value = bus.readRegister(
        address, width: Int(exit.width), processor: processor.index, now: processor.guestTime)
      processor.yield()
      grant(exit.address, .deviceRead(value), width: exit.width, device: address)
    } else {
      return .unsupported(
        "access of \(exit.width) bytes to device space at \(address) by a wide operand")
    }
    resume(exit)
    return nil
  }

  /// The instruction was completed, or raised an exception.
  func finishAssist(_ exit: VMExit) {
    let running = running
    guard running.assist != nil else { return }
    let stores = running.processor.takeGrantedStores()
    if !stores.isEmpty { reachDevices(stores) }
    abandonAssist()
    if running.controls.injection == nil { running.controls.injection = running.processor.takeDebugTrap() }
    // Nor does its own NMI wait for another processor's to come.
    if !stores.isEmpty { _ = offerNonMaskable(exit.reason) }
  }

  /// Hands the devices what the instruction has stored to them.
  private func reachDevices(_ stores: [GrantedStore]) {
    // An NMI that came while the instruction was being helped would have been taken by now, and waits in no latch for
    // one that the instruction sends to its own processor (KVM lets two wait for the same reason).
    let isLater = offerNonMaskable(.assisted) || processor.countsCycles
    for store in stores {
      let match = assist?.devices.first { $0.isWrite && $0.linear == store.address && $0.width == store.width }
      guard let device = match else { continue }
      // Under the instruction clock a device is reached when the bare machine reaches it: before the instruction retires.
      bus.writeRegister(
        device.physical, width: Int(store.width), value: store.value, processor: processor.index,
        now: isLater ? processor.guestTime : store.time)
      processor.yield()
    }
  }

  /// Drops all grants: the guest goes another way.
  func abandonAssist() {
    let running = running
    running.assist = nil
    if !running.controls.grants.isEmpty { running.controls.grants = Grants() }
    running.watched.removeAll()
    running.controls.intercepts.insert(.ports)
  }
}

/// Guarded tables that are writable for the moment, with what they held when the hardware was entered.
///
/// Whole tables are compared, since one instruction, and the delivery of an event even more, can store to a page in
/// several places.
struct WatchedTables {
  struct Table {
    var gfn: UInt64
    var host: HostPhysical
    /// Where it is written first, in units of eight bytes.
    var index: Int
  }

  private(set) var tables: [Table] = []
  /// 512 entries for each table; kept at its greatest size.
  private var copies: [UInt64] = []

  var isEmpty: Bool { tables.isEmpty }

  mutating func add(_ gfn: UInt64, at host: HostPhysical) {
    guard !tables.contains(where: { $0.gfn == gfn }) else { return }
    tables.append(Table(gfn: gfn, host: host.pageBase, index: Int(host.pageOffset >> 3)))
    if copies.count < tables.count * 512 { copies.append(contentsOf: repeatElement(0, count: 512)) }
  }

  /// Takes note of what the tables hold.
  mutating func capture(_ memory: HostMemory) {
    for (number, table) in tables.enumerated() {
      copies.withUnsafeMutableBytes { bytes in
        bytes.baseAddress?.advanced(by: number * 4096)
          .copyMemory(from: memory.base + Int(table.host.rawValue), byteCount: 4096)
      }
    }
  }

  /// Eight bytes of a table that are not what they were.
  struct Change {
    var index: Int
    var old: UInt64
    var new: UInt64
  }

  /// The first change from `index` on in a table.
  func change(in number: Int, from index: Int, _ memory: HostMemory) -> Change? {
    let host = tables[number].host
    return copies.withUnsafeBufferPointer { copies in
      let before = copies.baseAddress! + number * 512
      return memory.firstDifference(of: host, from: before, at: index).map {
        Change(index: $0, old: before[$0], new: memory.word(at: host.advanced(by: UInt64($0) * 8)))
      }
    }
  }

  mutating func removeAll() { tables.removeAll(keepingCapacity: true) }
}

extension Hypervisor {
  /// Watches a guarded table of the guest for changes from the next entry on.
  ///
  /// - Parameter address: what is about to be written of it.
  func watch(_ address: GuestPhysical) {
    guard let host = guest.map.lookup(address) else { return }
    watched.add(address.frame, at: host.address)
  }
}
