import Boot
import Machine
import Testing

/// The ACPI tables, read as a kernel finds them: by the root pointer's signature.
@Suite struct ACPITests {
  private let memory: PlannedMemory

  init() throws {
    let options = BootOptions(memorySize: 64 << 20, processors: 3)
    memory = PlannedMemory(plan: try BootPlan.make(image: Images.multiboot.build(), options: options))
  }

  private func text(_ address: UInt64, _ count: Int) -> String {
    String(decoding: (0..<count).map { memory.byte(address + UInt64($0)) }, as: UTF8.self)
  }

  private func sum(_ address: UInt64, _ count: UInt64) -> UInt8 {
    (0..<count).reduce(0) { $0 &+ memory.byte(address + $1) }
  }

  private var root: UInt64? {
    stride(from: 0xe0000 as UInt64, to: 0x100000, by: 16).first { text($0, 8) == "RSD PTR " }
  }

  /// The tables that the root table lists, by signature, each of which has a checksum that fits.
  private func tables(wide: Bool) throws -> [String: UInt64] {
    let root = try #require(root)
    let list = wide ? memory.quad(root + 24) : UInt64(memory.word(root + 16))
    #expect(text(list, 4) == (wide ? "XSDT" : "RSDT"))
    let size: UInt64 = wide ? 8 : 4
    let count = (UInt64(memory.word(list + 4)) - 36) / size
    var tables: [String: UInt64] = [:]
    for index in 0..<count {
      let at = list + 36 + index * size
      let table = wide ? memory.quad(at) : UInt64(memory.word(at))
      #expect(sum(table, UInt64(memory.word(table + 4))) == 0)
      tables[text(table, 4)] = table
    }
    #expect(sum(list, UInt64(memory.word(list + 4))) == 0)
    return tables
  }

  @Test func `the root pointer is in the reserved range, with both checksums`() throws {
    let root = try #require(root)
    #expect(sum(root, 20) == 0 && sum(root, 36) == 0)
    #expect(memory.byte(root + 15) == 2 && memory.word(root + 20) == 36)
    let reserved = memory.plan.memoryMap.entries.first { $0.base.rawValue == 0xe0000 }
    #expect(reserved?.kind == .reserved)
    let segment = try #require(memory.plan.segments.first { $0.name == "ACPI tables" })
    #expect(segment.address.rawValue >= 0xe0000 && segment.end.rawValue <= 0x100000)
  }

  @Test func `both root tables list the same tables`() throws {
    #expect(try tables(wide: false) == tables(wide: true))
    #expect(try tables(wide: true).keys.sorted() == ["APIC", "FACP"])
  }

  @Test func `the FADT names the ports of power management, twice alike`() throws {
    let fadt = try #require(try tables(wide: true)["FACP"])
    #expect([56, 64, 76].map { memory.word(fadt + $0) } == [0x600, 0x604, 0x608])
    #expect([148, 172, 208].map { memory.quad(fadt + $0 + 4) } == [0x600, 0x604, 0x608])
    #expect([88, 89, 91].map { memory.byte(fadt + $0) } == [4, 2, 4])
    #expect(memory.byte(fadt + 46) == 9 && memory.word(fadt + 48) == 0)
    // The timer has 32 bits, and there is a reset register.
    #expect(memory.word(fadt + 112) & (1 << 8 | 1 << 10) == 1 << 8 | 1 << 10)
    #expect(memory.quad(fadt + 120) == 0xcf9 && memory.byte(fadt + 128) == 0x06)
    let facs = UInt64(memory.word(fadt + 36))
    #expect(text(facs, 4) == "FACS" && facs % 64 == 0 && memory.quad(fadt + 132) == facs)
    let dsdt = UInt64(memory.word(fadt + 40))
    #expect(text(dsdt, 4) == "DSDT" && sum(dsdt, UInt64(memory.word(dsdt + 4))) == 0)
    #expect(text(dsdt + 37, 4) == "_S5_" && memory.quad(fadt + 140) == dsdt)
  }

  @Test func `the MADT lists processors, the I/O APIC and the overrides`() throws {
    let madt = try #require(try tables(wide: true)["APIC"])
    #expect(memory.word(madt + 36) == 0xfee0_0000 && memory.word(madt + 40) == 1)
    var at = madt + 44
    var entries: [[UInt8]] = []
    while at < madt + UInt64(memory.word(madt + 4)) {
      let length = UInt64(memory.byte(at + 1))
      try #require(length > 0)
      entries.append((0..<length).map { memory.byte(at + $0) })
      at += length
    }
    #expect(entries.filter { $0[0] == 0 } == (0..<3).map { [0, 8, $0, $0, 1, 0, 0, 0] })
    #expect(entries.filter { $0[0] == 1 } == [[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0]])
    #expect(
      entries.filter { $0[0] == 2 } == [[2, 10, 0, 0, 2, 0, 0, 0, 0, 0], [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0]])
    #expect(entries.filter { $0[0] == 4 } == [[4, 6, 0xff, 0, 0, 1]])
  }

  @Test func `there are as many tables as fit, however many processors`() throws {
    let options = BootOptions(memorySize: 64 << 20, processors: 65535)
    let plan = try BootPlan.make(image: Images.multiboot.build(), options: options)
    #expect(try #require(plan.segments.first { $0.name == "ACPI tables" }).end.rawValue <= 0x100000)
  }

  @Test func `a machine without ACPI has none`() throws {
    let options = BootOptions(memorySize: 64 << 20, hasACPI: false)
    let plan = try BootPlan.make(image: Images.multiboot.build(), options: options)
    #expect(!plan.segments.contains { $0.name == "ACPI tables" })
  }
}
