@testable import Hypervisor

/// What page faults a tiny guest gets: error code and CR2 of each, in a list at R15.
enum FaultLog {
  static let place = Place.data + 0x6000

  /// Adds to the list, and returns behind the instruction, a load or store of three bytes.
  static let handler: [UInt8] = [
    0x41, 0x58, 0x4d, 0x89, 0x07,  // pop r8; mov [r15], r8
    0x41, 0x0f, 0x20, 0xd0, 0x4d, 0x89, 0x47, 0x08,  // mov r8, cr2; mov [r15 + 8], r8
    0x49, 0x83, 0xc7, 0x10,  // add r15, 16
    0x48, 0x83, 0x04, 0x24, 0x03,  // add qword [rsp], 3
    0x48, 0xcf,  // iretq
  ]

  /// MOV R15, the list.
  static func start(_ code: inout Code) {
    code.raw(0x49, 0xbf)
    for byte in 0..<8 { code.bytes.append(UInt8(truncatingIfNeeded: place >> UInt64(8 * byte))) }
  }

  /// The error codes.
  static func errors(_ guest: TinyGuest) -> [UInt64] {
    let end = guest.processor.state.slots[15]
    return stride(from: place, to: max(end, place), by: 16).map(guest.word)
  }
}

/// Frames for a second set of tables, and for what else a test wants.
enum Second {
  static let root: UInt64 = 0x4_0000
  static let pointers: UInt64 = 0x4_1000
  static let directory: UInt64 = 0x4_2000
  static let table: UInt64 = 0x4_3000

  /// Maps everything as the first tables do, with entries of its own.
  static func build(_ guest: TinyGuest) {
    guest.set(root, pointers | 7)
    guest.set(pointers, directory | 7)
    guest.set(directory, table | 7)
    for page in UInt64(0)..<512 { guest.set(table + 8 * page, guest.word(Place.table + 8 * page)) }
  }

  static func entry(of address: UInt64) -> UInt64 { table + (address >> 12) * 8 }
}
