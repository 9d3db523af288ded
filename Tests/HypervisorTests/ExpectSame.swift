import Machine
import Testing

@testable import Hypervisor

/// Runs the code under every kind, with four and with five levels of tables, and compares it with native.
func expectSame(
  _ code: Code, handler: [UInt8] = [0xf4], levels: [Int] = [4, 5], prepare: (TinyGuest) -> Void = { _ in },
  check: (TinyGuest) -> Void
) throws {
  for levels in levels { try expectSame(code, handler, levels, prepare, check) }
}

private func expectSame(
  _ code: Code, _ handler: [UInt8], _ levels: Int, _ prepare: (TinyGuest) -> Void, _ check: (TinyGuest) -> Void
) throws {
  let native = try TinyGuest(.native, code.bytes, handler: handler, levels: levels)
  prepare(native)
  #expect(native.run() == .haltedForEver)
  check(native)
  for kind in Kind.allCases where kind != .native {
    let guest = try TinyGuest(kind, code.bytes, handler: handler, levels: levels)
    prepare(guest)
    #expect(guest.run() == .haltedForEver, "\(kind), \(levels) levels")
    check(guest)
    #expect(guest.architecture == native.architecture, "\(kind), \(levels) levels")
    #expect(guest.allMemory == native.allMemory, "\(kind), \(levels) levels")
    #expect(guest.violations == [], "\(kind), \(levels) levels")
    #expect(guest.bus.registers == native.bus.registers, "\(kind), \(levels) levels")
    #expect(guest.bus.ports == native.bus.ports, "\(kind), \(levels) levels")
  }
}
