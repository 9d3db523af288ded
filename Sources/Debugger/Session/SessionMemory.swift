import Emulator
import Hypervisor
import Machine

/// Memory as a debugger reads and writes it: no time passes, and no device notices.
extension Session {
  // MARK: Addresses

  /// Where a linear address is in the guest's physical memory, by the guest's own tables and whatever its permissions; nil
  /// where nothing maps it.
  public func translate(_ address: UInt64) -> GuestPhysical? {
    guard isCanonical(address) else { return nil }
    let walk: RecordedWalk
    if let hypervisor = machine.hypervisor {
      walk = processor.lookInGuest(GuestVirtual(address), frames: hypervisor.frameMap)
    } else {
      walk = processor.look(GuestVirtual(address))
    }
    switch walk.result {
    case .mapped(let mapping): return mapping.physical
    // Memory that the host has not populated.
    case .nestedFault(let fault): return fault.duringWalk ? nil : fault.address
    case .fault: return nil
    }
  }

  func isCanonical(_ address: UInt64) -> Bool {
    let state = processor.state
    guard state.isLongMode else { return address >> 32 == 0 }
    return GuestVirtual(address).isCanonical(bits: state.cr4 & CR4.la57 != 0 ? 57 : 48)
  }

  /// Where a guest-physical address is in the host; nil where there is no memory, or none yet.
  public func hostAddress(of address: GuestPhysical) -> HostPhysical? {
    if let hypervisor = machine.hypervisor { return hypervisor.hostAddress(of: address) }
    let host = HostPhysical(address.rawValue)
    return machine.memory.contains(host) ? host : nil
  }

  /// The guest-physical address of what is at a place in the host.
  public func guestAddress(of host: HostPhysical) -> GuestPhysical? {
    guard let hypervisor = machine.hypervisor else { return GuestPhysical(host.rawValue) }
    return hypervisor.guestAddress(of: host)
  }

  // MARK: Reading

  /// Bytes at a linear address; nil unless all of them are memory.
  public func read(_ address: UInt64, count: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    var at = address
    while bytes.count < count {
      let piece = min(4096 - Int(at & 0xfff), count - bytes.count)
      guard let physical = translate(at), let part = readPhysical(physical, count: piece) else { return nil }
      bytes += part
      at &+= UInt64(piece)
    }
    return bytes
  }

  /// Bytes of the guest's physical memory; nil unless all of them are memory.
  public func readPhysical(_ address: GuestPhysical, count: Int) -> [UInt8]? {
    if let hypervisor = machine.hypervisor { return hypervisor.readGuest(address, count: count) }
    let host = HostPhysical(address.rawValue)
    let (last, wraps) = address.rawValue.addingReportingOverflow(UInt64(max(count, 1) - 1))
    guard !wraps, machine.memory.contains(host), machine.memory.contains(HostPhysical(last)) else { return nil }
    return machine.memory.read(host, count: count)
  }

  /// A little-endian number of up to eight bytes.
  public func number(at address: UInt64, width: Int) -> UInt64? { read(address, count: width).map(Self.number) }

  public func physicalNumber(at address: GuestPhysical, width: Int) -> UInt64? {
    readPhysical(address, count: width).map(Self.number)
  }

  private static func number(_ bytes: [UInt8]) -> UInt64 { bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) } }

  // MARK: Changing

  /// Writes memory; what the history held of the time after now is forgotten. False, with nothing written, unless all of
  /// it is memory.
  public func write(_ bytes: [UInt8], at address: UInt64) -> Bool {
    var pieces: [(GuestPhysical, ArraySlice<UInt8>)] = []
    var rest = bytes[...]
    var at = address
    while !rest.isEmpty {
      let piece = rest.prefix(4096 - Int(at & 0xfff))
      guard let physical = translate(at), readPhysical(physical, count: piece.count) != nil else { return false }
      pieces.append((physical, piece))
      rest = rest.dropFirst(piece.count)
      at &+= UInt64(piece.count)
    }
    for (physical, piece) in pieces { store(piece, at: physical) }
    noteEdit()
    return true
  }

  public func writePhysical(_ bytes: [UInt8], at address: GuestPhysical) -> Bool {
    guard readPhysical(address, count: bytes.count) != nil else { return false }
    store(bytes[...], at: address)
    noteEdit()
    return true
  }

  private func noteEdit() {
    isEdited = true
    timeline.noteEdit()
  }

  private func store(_ bytes: ArraySlice<UInt8>, at address: GuestPhysical) {
    if let hypervisor = machine.hypervisor {
      _ = hypervisor.writeGuest(bytes, at: address)
      return
    }
    var rest = bytes
    var at = HostPhysical(address.rawValue)
    while !rest.isEmpty {
      let piece = rest.prefix(4096 - Int(at.pageOffset))
      processor.hostMemoryChanged(at: at, count: piece.count)
      _ = machine.memory.write(piece, at: at)
      at = at.advanced(by: UInt64(piece.count))
      rest = rest.dropFirst(piece.count)
    }
  }

  /// Changes the selected processor's registers.
  public func changeState(_ body: (inout ProcessorState) -> Void) {
    var state = processor.state
    body(&state)
    processor.state = state
    processor.refresh()
    noteEdit()
  }

  // MARK: Tables

  /// The tables that CR3 leads to, each once, from the top.
  public func guestTables() -> [GuestPhysical] {
    let plan = processor.guestWalkPlan
    guard plan.levels > 0 else { return [] }
    var isNarrow = false
    if case .narrow = plan.layout { isNarrow = true }
    var tables: [GuestPhysical] = []
    var known: Set<UInt64> = []
    var level = plan.levels
    var current = [plan.root]
    while level > 0, !current.isEmpty {
      var next: [GuestPhysical] = []
      for table in current where known.insert(table.rawValue).inserted {
        tables.append(table)
        guard level > 1, tables.count < 1 << 16 else { continue }
        next += tablesBelow(table, level: level, isNarrow: isNarrow, isPAE: plan.levels == 3 && level == 3)
      }
      current = next
      level -= 1
    }
    return tables
  }

  private func tablesBelow(_ table: GuestPhysical, level: Int, isNarrow: Bool, isPAE: Bool) -> [GuestPhysical] {
    let width = isNarrow ? 4 : 8
    let count = isPAE ? 4 : 4096 / width
    guard let bytes = readPhysical(table, count: count * width) else { return [] }
    return (0..<count).compactMap { index in
      let entry = Self.number(Array(bytes[index * width..<(index + 1) * width]))
      let isLeaf = !isPAE && level <= 3 && entry & EntryBit.large != 0
      guard entry & EntryBit.present != 0, !isLeaf else { return nil }
      return GuestPhysical(entry & EntryBit.frameMask)
    }
  }
}
