/// Arbitrary bytes as a guest's code, page tables, device accesses and registers in every mode (RandomGuest.swift): no
/// input may trap the emulator, keep it from ending, or do something else when the code is cut into blocks of one
/// instruction or the guest's memory is virtualised in another way.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGuest(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  let guest = RandomGuest([UInt8](UnsafeBufferPointer(start: bytes, count: count)))
  do {
    let whole = try guest.run(instructions: 500)
    let single = try guest.run(instructions: 500, blockLength: 1)
    if whole != single { fatalError(RandomGuest.difference(whole, single)) }
    // As they are, then with what makes them comparable.
    for kind in [RandomGuest.Kind.nested, .shadow] { _ = try guest.run(instructions: 500, kind: kind) }
    let native = try guest.run(instructions: 500, comparable: true)
    for kind in [RandomGuest.Kind.nested, .shadow] {
      let other = try guest.run(instructions: 500, kind: kind, comparable: true)
      if let difference = RandomGuest.difference(native, other) { fatalError("\(kind.rawValue): \(difference)") }
    }
  } catch {
    fatalError("\(error)")
  }
  return 0
}
