import Boot
import Machine
import Testing

@Suite struct MemoryMapTests {
  private func lines(_ map: MemoryMap) -> [String] {
    map.entries.map { "\($0.base) \($0.end) \($0.kind)" }
  }

  @Test func `128 MiB are one usable range above 1 MiB`() throws {
    let map = try MemoryMap(memorySize: 128 << 20)
    #expect(
      lines(map) == [
        "0x0 0x9fc00 usable", "0x9fc00 0xa0000 reserved", "0xe0000 0x100000 reserved", "0x100000 0x8000000 usable",
      ])
    #expect(map.ram == [.init(base: GuestPhysical(0), size: 128 << 20, offset: 0)])
  }

  @Test func `memory beyond 3 GiB goes on at 4 GiB`() throws {
    let map = try MemoryMap(memorySize: 5 << 30)
    #expect(lines(map).suffix(2) == ["0x100000 0xc0000000 usable", "0x100000000 0x180000000 usable"])
    #expect(map.ram.last == .init(base: GuestPhysical(4 << 30), size: 2 << 30, offset: 3 << 30))
    #expect(map.isRAM(GuestPhysical(0xbfff_ffff)))
    #expect(!map.isRAM(GuestPhysical(0xc000_0000)))
    #expect(!map.isRAM(GuestPhysical(0xffff_ffff)))
    #expect(map.isRAM(GuestPhysical(0x1_0000_0000)))
    #expect(map.isRAM(GuestPhysical(0x1_7fff_ffff)))
    #expect(!map.isRAM(GuestPhysical(0x1_8000_0000)))
  }

  @Test func `exactly 3 GiB have no range above 4 GiB`() throws {
    let map = try MemoryMap(memorySize: 3 << 30)
    #expect(map.ram.count == 1)
    #expect(map.entries.count == 4)
  }

  @Test func `a range is usable only as a whole`() throws {
    let map = try MemoryMap(memorySize: 4 << 20)
    #expect(map.isUsable(GuestPhysical(0x10_0000), 0x30_0000))
    #expect(!map.isUsable(GuestPhysical(0x10_0000), 0x30_0001))
    #expect(!map.isUsable(GuestPhysical(0x9_f000), 0x1000))
    #expect(!map.isUsable(GuestPhysical(.max), .max))
    #expect(map.isRAM(GuestPhysical(0xf_0000)))
  }

  @Test(arguments: [
    (0, "memory size: 0x0 bytes are fewer than the 2 MiB that a PC needs"),
    (0x1f_f000, "memory size: 0x1ff000 bytes are fewer than the 2 MiB that a PC needs"),
    (0x40_0001, "memory size: 0x400001 bytes are no multiple of 4 KiB"),
    (UInt64.max, "memory size: 0xffffffffffffffff bytes are no multiple of 4 KiB"),
    (UInt64.max << 12, "memory size: 0xfffffffffffff000 bytes are more than 64 TiB"),
  ])
  func `a memory size that makes no sense is refused`(size: UInt64, text: String) {
    let error = #expect(throws: BootError.self) { try MemoryMap(memorySize: size) }
    #expect(error?.description == text)
  }

  @Test(arguments: [2 << 20, 3 << 30, (3 << 30) + 4096, 64 << 40] as [UInt64])
  func `usable and reserved RAM add up to no more than the memory`(size: UInt64) throws {
    let map = try MemoryMap(memorySize: size)
    #expect(map.ram.reduce(0) { $0 + $1.size } == size)
    for (lower, upper) in zip(map.entries, map.entries.dropFirst()) { #expect(lower.end <= upper.base) }
  }
}
