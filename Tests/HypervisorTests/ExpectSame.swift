import Machine
import Testing

@testable import Hypervisor

/// Runs the code under every kind and compares it with native.
func expectSame(
  _ code: Code, handler: [UInt8] = [0xf4], prepare: (TinyGuest) -> Void = { _ in },
  check: (TinyGuest) -> Void
) throws {
  let native = try TinyGuest(.native, code.bytes, handler: handler)
  prepare(native)
  #expect(native.run() == .haltedForEver)
  check(native)
  for kind in Kind.allCases where kind != .native {
    let guest = try TinyGuest(kind, code.bytes, handler: handler)
    prepare(guest)
    #expect(guest.run() == .haltedForEver, "\(kind)")
    check(guest)
    #expect(guest.architecture == native.architecture, "\(kind)")
    #expect(guest.allMemory == native.allMemory, "\(kind)")
    #expect(guest.violations == [], "\(kind)")
    #expect(guest.bus.registers == native.bus.registers, "\(kind)")
    #expect(guest.bus.ports == native.bus.ports, "\(kind)")
  }
}
