import Machine

/// What a random guest finds in its memory.
extension RandomGuest {
  /// Writes tables, descriptors, handlers and code.
  ///
  /// - Returns: whether there was room for all of it.
  func load(_ bytes: inout Bytes, _ write: ([UInt8], UInt64) -> Bool) -> Bool {
    var written = true
    func put(_ values: [UInt64], at address: UInt64) {
      written = write(values.flatMap(Self.little), address) && written
    }

    let level = Place.tables
    put([level + 0x1007], at: level)
    put([level + 0x2007], at: level + 0x1000)
    // One table of 4 KiB pages, and a large page over the same memory.
    put([level + 0x3007, 0x87], at: level + 0x2000)
    let entries = (0..<512).map { entry(of: $0, &bytes) }
    put(entries, at: level + 0x3000)
    put([level + 7], at: Place.fifthTable)
    put([level + 0x2001], at: Place.directoryPointers)
    // A table for the first 4 MiB, of which the second half is the first again, and a page of 4 MiB.
    put([Place.narrowTable + 7 | 0x87 << 32], at: Place.narrowDirectory)
    func pair(_ number: Int) -> UInt64 { entries[number % 512] & 0xffff_ffff | entries[(number + 1) % 512] << 32 }
    put(stride(from: 0, to: 1024, by: 2).map(pair), at: Place.narrowTable)

    // Null; 64-bit code, data for ring 0; compatibility code; 16-bit code, not present; data and 64-bit code for
    // ring 3; the task, in two.
    let task = Place.task
    put(
      [
        0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff, 0x0000_1b01_0000_ffff,
        0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0x00cf_fb00_0000_ffff,
        0x0000_8b00_0000_0067 | task << 16, 0,
      ], at: Place.gdt)
    // Stacks of the task: ring 0 and IST 1 in a 64-bit one, ESP0 and SS0 in a 32-bit one lie where these do.
    put([Place.stack << 32, 0, 0, 0, 0, Place.stack], at: task)

    if mode == .real {
      put((0..<128).map { _ in Place.handler | Place.handler << 32 }, at: Place.idt)
      written = write(Self.realHandler, Place.handler) && written
      return write(code, Place.code) && written
    }
    let is64 = mode.isLong
    let gates: [UInt64] = (0..<256).flatMap { vector -> [UInt64] in
      let rights: UInt64 = vector & 7 == 3 ? 0xee : 0x8e
      let selector: UInt64 = is64 ? 0x08 : 0x18
      let gate = Place.handler | selector << 16 | rights << 40
      return is64 ? [gate, 0] : [gate]
    }
    put(gates, at: Place.idt)
    written = write(handler(wide: is64), Place.handler) && written
    return write(code, Place.code) && written
  }

  /// The leaf entry of a page, identity-mapped unless chance wills otherwise.
  private func entry(of page: Int, _ bytes: inout Bytes) -> UInt64 {
    let plain = UInt64(page) << 12 | 0x67
    // The last pages are windows on devices.
    if touchesDevices && page >= 512 - Self.deviceRegisters.count {
      return Self.deviceRegisters[page - (512 - Self.deviceRegisters.count)] | 0x67
    }
    let isVital = UInt64(page) << 12 < Place.code + UInt64(Place.codeSize) || page == Int(Place.stack >> 12) - 1
    guard wildTables, !isVital || bytes.next() & 15 == 0 else { return plain }
    switch bytes.next() & 7 {
    case 0: return bytes.word()
    case 1: return plain ^ 1 << (bytes.word() & 63)
    // Another page of memory; the tables themselves are among them.
    case 2: return (bytes.word() & 0x1ff) << 12 | 0x67
    case 3: return (bytes.word() & 0xf) << 12 | bytes.word() & 0x8000_0000_0000_0fff | 1
    default: return UInt64(page) << 12 | bytes.word() & 0x1e7 | 1
    }
  }

  /// Goes on 37 bytes further in the code after every exception, with the stack and some pointers put right.
  private func handler(wide: Bool) -> [UInt8] {
    let rex: [UInt8] = wide ? [0x48] : []
    func address(_ value: UInt64) -> [UInt8] { Array(Self.little(value)[..<4]) }
    // In 64-bit code an absolute address needs a SIB byte.
    let absolute: [UInt8] = wide ? [0x04, 0x25] : [0x05]
    var code: [UInt8] = []
    code += rex + [0xc7, 0xc4] + address(Place.stack - 0x100)
    code += rex + [0xc7, 0xc3] + address(Place.data + 0x800)
    code += rex + [0xc7, 0xc6] + address(Place.data)
    code += rex + [0xc7, 0xc7] + address(Place.data + 0x1000)
    code += rex + [0xc7, 0xc1] + address(3)
    code += [0x8b] + absolute + address(Place.cursor)
    code += [0x83, 0xc0, 37, 0x25] + address(UInt64(Place.codeSize - 1))
    code += [0x89] + absolute + address(Place.cursor)
    code += [0x05] + address(Place.code)
    return code + [0xff, 0xe0]
  }

  /// The same in real mode, from segment 0.
  private static var realHandler: [UInt8] {
    func half(_ value: UInt64) -> [UInt8] { Array(little(value)[..<2]) }
    var code: [UInt8] = [0xba] + half(Place.stack >> 4 & 0xf000) + [0x8e, 0xd2, 0xbc] + half(0x7f00)
    code += [0xba] + half(Place.data >> 4) + [0x8e, 0xda, 0x8e, 0xc2]
    code += [0xbb] + half(0x800) + [0xbe] + half(0) + [0xbf] + half(0x1000) + [0xb9] + half(3)
    code += [0x2e, 0xa1] + half(Place.cursor) + [0x83, 0xc0, 37, 0x25] + half(UInt64(Place.codeSize - 1))
    code += [0x2e, 0xa3] + half(Place.cursor)
    return code + [0x68] + half(Place.code >> 4) + [0x50, 0xcb]
  }

  private static func little(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
  }
}
