/// Arbitrary bytes as a guest's code, page tables, device accesses and registers in every mode (RandomGuest.swift): no
/// input may trap the emulator, keep it from ending, or do something else when the code is cut into blocks of one
/// instruction; nor may it break an invariant of the hypervisor.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGuest(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let guest = RandomGuest([UInt8](UnsafeBufferPointer(start: bytes, count: count)))
  do {
    let whole = try guest.run(instructions: 500)
    let single = try guest.run(instructions: 500, blockLength: 1)
    if whole != single { fatalError(RandomGuest.difference(whole, single)) }
    for kind in RandomGuest.Kind.allCases where kind != .native { _ = try guest.run(instructions: 500, kind: kind) }
  } catch {
    fatalError("\(error)")
  }
  return 0
}
