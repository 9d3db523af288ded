import Boot
import Machine
import Testing

@Suite struct FirmwareTests {
  @Test func `every vector of a device's line leads to code in the BIOS's segment`() throws {
    let memory = PlannedMemory(plan: try BootPlan.make(image: Images.plain.build(), options: .small))
    for vector in Array(0x08...0x0f) + Array(0x70...0x77) as [UInt64] {
      let entry = memory.word(vector * 4)
      #expect(entry >> 16 == 0xf000)
      #expect(memory.bytes(0xf0000 + UInt64(entry & 0xffff), 1) != [0])
    }
    // Pointers to tables that there are not, and what is left to programs.
    for vector in [0x1e, 0x41, 0x60, 0x67] as [UInt64] { #expect(memory.word(vector * 4) == 0) }
  }

  @Test func `the BIOS data area tells what the board has`() throws {
    var options = BootOptions.small
    options.secondOfDay = 3600
    let memory = PlannedMemory(plan: try BootPlan.make(image: Images.plain.build(), options: options))
    func half(_ address: UInt64) -> UInt64 { memory.word(address) & 0xffff }
    #expect(half(0x400) == 0x3f8)
    #expect(half(0x413) == 639)
    #expect(half(0x40e) == 0x9fc0)
    #expect(memory.word(0x46c) == 65543)
    #expect(memory.bytes(0x9fc00, 1) == [1])
    // The reset vector is a far jump into the same segment.
    #expect(memory.bytes(0xffff0, 1) == [0xea])
    #expect(memory.word(0xffff1) >> 16 == 0xf000)
  }

  @Test func `the multiprocessor table has every processor, the I/O APIC and the lines, and its sums are right`() throws
  {
    let options = BootOptions(memorySize: 64 << 20, processors: 3)
    let memory = PlannedMemory(plan: try BootPlan.make(image: Images.plain.build(), options: options))
    let places = stride(from: 0xf0000 as UInt64, to: 0x100000, by: 16)
    let pointer = try #require(places.first { memory.bytes($0, 4) == Array("_MP_".utf8) })
    #expect(memory.bytes(pointer, 16).reduce(0, &+) == 0)
    let table = memory.word(pointer + 4)
    #expect(memory.bytes(table, 4) == Array("PCMP".utf8))
    let size = memory.word(table + 4) & 0xffff
    #expect(memory.bytes(table, size).reduce(0, &+) == 0)
    var entries: [[UInt8]] = []
    var at = table + 44
    while at < table + size {
      let length: UInt64 = memory.bytes(at, 1) == [0] ? 20 : 8
      entries.append(memory.bytes(at, length))
      at += length
    }
    #expect(at == table + size && UInt64(entries.count) == memory.word(table + 34) & 0xffff)
    #expect(entries.prefix(3).map { Array($0[1...3]) } == [[0, 0x14, 3], [1, 0x14, 1], [2, 0x14, 1]])
    #expect(entries.filter { $0[0] == 2 } == [[2, 3, 0x11, 1, 0, 0, 0xc0, 0xfe]])
    let lines = entries.filter { $0[0] == 3 }
    #expect(lines.count == 15 && lines[0] == [3, 0, 0, 0, 0, 0, 3, 2] && lines[1] == [3, 0, 0, 0, 0, 1, 3, 1])
  }

  @Test func `what a kernel loads comes after what firmware has left`() throws {
    // At the timer's vector and three more.
    var elf = Images.plain
    elf.segments = [.load(0x20, [0xf4], memorySize: 0x10)]
    elf.entry = 0x20
    elf.symbols = []
    let plan = try BootPlan.make(image: elf.build(), options: .small)
    #expect(brokenPromise(plan) == nil)
    let vectors = plan.segments.filter { $0.name == "BIOS vectors and data" }
    #expect(vectors.map { $0.address.rawValue..<$0.end.rawValue } == [0..<0x20, 0x30..<0x500])
    let memory = PlannedMemory(plan: plan)
    #expect(memory.word(0x1c) >> 16 == 0xf000 && memory.word(0x30) >> 16 == 0xf000)
    #expect(memory.word(0x413) & 0xffff == 639)
  }
}
