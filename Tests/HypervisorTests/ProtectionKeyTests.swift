import Machine
import Testing

@testable import Hypervisor

/// Protection keys under every kind of paging.
@Suite struct ProtectionKeyEquivalenceTests {
  private static let log = Place.data + 0x6000
  private static let paging = CR0.protectionEnable | CR0.extensionType | CR0.paging

  /// Adds the error code to a list at R15, and returns behind the instruction, a load or store of three bytes.
  private static let handler: [UInt8] = [
    0x41, 0x58,  // pop r8
    0x4d, 0x89, 0x07,  // mov [r15], r8
    0x49, 0x83, 0xc7, 0x08,  // add r15, 8
    0x48, 0x83, 0x04, 0x24, 0x03,  // add qword [rsp], 3
    0x48, 0xcf,  // iretq
  ]

  /// A window page of the user with a key, and one of the supervisor, both read-only or writable; then stores and loads
  /// under every setting of WP and the rights, keys on.
  private static func code(_ bits: UInt64, _ extra: UInt64) -> Code {
    Code {
      $0.raw(0x49, 0xbf)
      for byte in 0..<8 { $0.bytes.append(UInt8(truncatingIfNeeded: log >> UInt64(8 * byte))) }
      $0.store(Place.entry(of: Place.window), (Place.data + 0x1000) | 0x5 | bits | 1 << 59)
      $0.store(Place.entry(of: Place.window + 0x1000), (Place.data + 0x2000) | 0x1 | bits | 2 << 59)
      $0.cr4(CR4.physicalAddressExtension | extra)
      for protects in [0, CR0.writeProtect] {
        $0.cr0(paging | protects)
        for rights in UInt64(0)..<4 {
          $0.userKeys(rights << 2)
          $0.supervisorKeys(rights << 4)
          for page in [Place.window, Place.window + 0x1000] {
            $0.load(page)
            $0.store(page, rights << 8 | protects | 1)
            $0.load(page)
          }
        }
      }
    }
  }

  @Test(arguments: [0, 2] as [UInt64])
  func `keys deny and permit alike, with CR0.WP and without`(bits: UInt64) throws {
    for keys in [CR4.protectionKeys | CR4.supervisorKeys, CR4.protectionKeys, CR4.supervisorKeys] {
      // WRPKRU is undefined without CR4.PKE: then only the other register is written.
      var code = Self.code(bits, keys)
      if keys == CR4.supervisorKeys { code = Self.withoutUserKeys(code) }
      try expectSame(code, handler: Self.handler, levels: [4]) { guest in
        let faults = (UInt64(0)..<64).map { guest.word(Self.log + $0 * 8) }.filter { $0 != 0 }
        #expect(faults.contains { $0 & 0x20 != 0 })
        #expect(faults.contains { $0 == 0x23 } && faults.allSatisfy { $0 & 1 != 0 })
      }
    }
  }

  /// NOPs for WRPKRU.
  private static func withoutUserKeys(_ code: Code) -> Code {
    var code = code
    for index in code.bytes.indices.dropLast(2) where Array(code.bytes[index...index + 2]) == [0x0f, 0x01, 0xef] {
      code.bytes.replaceSubrange(index...index + 2, with: [0x90, 0x90, 0x90])
    }
    return code
  }

  @Test func `a page of 2 MiB keeps its key in the pieces that shadow it`() throws {
    try expectSame(
      Code {
        $0.store(Place.directory + 16, 0x87 | 3 << 59)
        $0.cr4(CR4.physicalAddressExtension | CR4.protectionKeys)
        $0.load(0x40_0000 + Place.data)
        $0.userKeys(1 << 6)
        $0.load(0x40_0000 + Place.data)
      }, levels: [4]
    ) { guest in
      #expect(guest.processor.state.cr2 == 0x40_0000 + Place.data)
      guard case .exception(let exception) = guest.processor.recentlyDelivered.last?.event else {
        Issue.record("no fault")
        return
      }
      #expect(exception.errorCode == 0x21)
    }
  }
}
