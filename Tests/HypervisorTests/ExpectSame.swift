import Machine
import Testing

@testable import Hypervisor

/// Runs the code under every kind, with four and with five levels of tables, and compares it with native.
func expectSame(
  _ code: Code, handler: [UInt8] = [0xf4], levels: [Int] = [4, 5], memorySize: UInt64 = TinyGuest.memorySize,
  prepare: (TinyGuest) -> Void = { _ in }, check: (TinyGuest) -> Void
) throws {
  let modes: [PagingMode] = levels.map { $0 == 5 ? .levels5 : .levels4 }
  for mode in modes { try expectSame(code.bytes, handler, mode, prepare, check, memorySize: memorySize) }
}

/// The same for one mode of paging, with code that runs in it.
func expectSame(
  _ code: [UInt8], _ handler: [UInt8], _ mode: PagingMode, _ prepare: (TinyGuest) -> Void,
  _ check: (TinyGuest) -> Void, except exceptions: [Kind] = [], memorySize: UInt64 = TinyGuest.memorySize
) throws {
  let native = try TinyGuest(.native, code, handler: handler, mode: mode, memory: memorySize)
  prepare(native)
  #expect(native.run() == .haltedForEver)
  check(native)
  for kind in Kind.allCases where kind != .native && !exceptions.contains(kind) {
    let guest = try TinyGuest(kind, code, handler: handler, mode: mode, memory: memorySize)
    prepare(guest)
    #expect(guest.run() == .haltedForEver, "\(kind), \(mode)")
    check(guest)
    #expect(guest.architecture == native.architecture, "\(kind), \(mode)")
    #expect(guest.allMemory == native.allMemory, "\(kind), \(mode)")
    #expect(guest.violations == [], "\(kind), \(mode)")
    #expect(guest.bus.registers == native.bus.registers, "\(kind), \(mode)")
    #expect(guest.bus.ports == native.bus.ports, "\(kind), \(mode)")
  }
}
