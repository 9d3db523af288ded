import Hypervisor
import Machine

/// How one of the machines translates an address, in words.
extension Lane {
  /// The walk of the guest's own tables: what must be the same on every machine.
  private func guestWalk(_ address: GuestVirtual, _ access: Access, _ processor: Int) -> RecordedWalk {
    let processor = machine.processors[processor]
    guard let hypervisor = machine.hypervisor else { return processor.peek(address, access) }
    return processor.walkGuest(address, access, frames: hypervisor.frameMap).recorded
  }

  /// Where an address is in the guest's memory by its own tables.
  func physical(_ address: GuestVirtual, _ access: Access, _ processor: Int) -> GuestPhysical? {
    guard case .mapped(let mapping) = guestWalk(address, access, processor).result else { return nil }
    return mapping.physical
  }

  /// Where the guest's entries are that the walk of an address reads, the uppermost first.
  func entries(_ address: GuestVirtual, _ access: Access, _ processor: Int) -> [GuestPhysical] {
    guestWalk(address, access, processor).references.filter { $0.dimension == .first }.compactMap {
      guestAddress($0.address)
    }
  }

  /// The page that the guest's tables have for an address, whoever may use it: its size less one, and whether it is
  /// global. Where they have none, as if it were one of 4 KiB.
  func page(_ address: GuestVirtual, _ processor: Int) -> (offsetMask: UInt64, isGlobal: Bool) {
    for access in [Access(.read, .implicitSupervisor), Access(.read, .user)] {
      if case .mapped(let mapping) = guestWalk(address, access, processor).result {
        return (mapping.isHalf ? 0x3f_ffff : mapping.pageSize.offsetMask, mapping.global)
      }
    }
    return (0xfff, false)
  }

  private func guestAddress(_ host: HostPhysical) -> GuestPhysical? {
    guard let hypervisor = machine.hypervisor else { return GuestPhysical(host.rawValue) }
    return hypervisor.guestAddress(of: host)
  }

  /// The walks of the guest's tables and of those that the hardware uses, and what TLBs hold, a line each.
  func describe(_ address: GuestVirtual, _ access: Access, _ processor: Int) -> [String] {
    let guest = guestWalk(address, access, processor)
    var lines = ["\(access.kind) of \(address) by \(access.privilege), guest's tables: \(describe(guest.result))"]
    lines += guest.references.filter { $0.dimension == .first }.map { reference in
      let place = guestAddress(reference.address).map { "\($0)" } ?? "host \(reference.address)"
      return "  level \(reference.level) entry at \(place): \(hexadecimal(reference.entry))"
    }
    let processor = machine.processors[processor]
    if machine.hypervisor != nil {
      let hardware = processor.peek(address, access)
      lines.append("hardware's tables: \(describe(hardware.result))")
      lines += hardware.references.map { reference in
        let dimension = reference.dimension == .first ? "" : "nested "
        return
          "  \(dimension)level \(reference.level) entry at host \(reference.address): \(hexadecimal(reference.entry))"
      }
    }
    lines += processor.heldTranslations(of: address).map { describe($0) }
    return lines
  }

  private func describe(_ held: HeldTranslation) -> String {
    let place = guestAddress(held.host).map { "\($0)" } ?? "host \(held.host)"
    let size = held.size.map { " (\(NumberParsing.describe(bytes: $0.bytes)))" } ?? ""
    return "\(held.buffer): \(place)\(size), \(describe(held.permissions))\(held.isDirty ? ", dirty" : "")"
      + "\(held.isGlobal ? ", global" : "")\(held.isCurrent ? "" : ", stale")"
  }

  private func describe(_ permissions: PagePermissions) -> String {
    "read\(permissions.writable ? ", write" : "")\(permissions.executable ? ", execute" : "") for "
      + (permissions.user ? "users" : "supervisors")
  }

  private func describe(_ result: WalkResult) -> String {
    switch result {
    case .mapped(let mapping):
      let place = guestAddress(mapping.host.address).map { "\($0)" } ?? "host \(mapping.host.address)"
      return "\(place), \(describe(mapping.permissions))"
    case .fault(let fault): return "page fault \(hexadecimal(UInt64(fault.errorCode))) at level \(fault.level)"
    case .nestedFault(let fault): return "no memory at \(fault.address)"
    }
  }

  /// What is held for an address and does not follow from the guest's tables, in words.
  func stale(_ address: GuestVirtual, _ access: Access, _ index: Int) -> [String] {
    let processor = machine.processors[index]
    let tables = guestWalk(address, access, index)
    var lines = processor.heldTranslations(of: address).filter { !$0.isCurrent }.map { "the \(describe($0))" }
    guard machine.hypervisor != nil, case .mapped(let hardware) = processor.peek(address, access).result else {
      return lines
    }
    if case .mapped(let mapping) = tables.result, mapping.host.address == hardware.host.address { return lines }
    lines.append("the hardware's tables say \(describe(.mapped(hardware))), the guest's \(describe(tables.result))")
    return lines
  }
}

/// A number as `0x...`.
func hexadecimal(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
