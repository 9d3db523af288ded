import Boot
import Machine
import Testing

@Suite struct MultibootTests {
  private func plan(_ image: [UInt8], _ options: BootOptions = .small) throws -> BootPlan {
    let plan = try BootPlan.make(image: image, options: options)
    #expect(plan.kind == .multiboot)
    #expect(brokenPromise(plan) == nil)
    return plan
  }

  @Test func `the kernel is entered in flat 32-bit protected mode with magic and information`() throws {
    let entry = try plan(Images.multiboot.build()).entry
    #expect(entry.mode == .protected32)
    #expect(entry.rip == 0x10_0010)
    #expect(entry.rax == 0x2bad_b002)
    #expect(entry.rbx == 0x9000)
    #expect(entry.cr0 == 0x11)
    #expect([entry.cr3, entry.cr4, entry.efer] == [0, 0, 0])
    #expect(entry.cs == SegmentState(selector: 0x08, limit: .max, attributes: 0xc09b))
    #expect(entry.data == SegmentState(selector: 0x10, limit: .max, attributes: 0xc093))
  }

  @Test func `code and data descriptors are the flat ones of every textbook, accessed`() throws {
    let memory = PlannedMemory(plan: try plan(Images.multiboot.build()))
    #expect(memory.descriptor(0) == 0)
    #expect(memory.descriptor(0x08) == 0x00cf_9b00_0000_ffff)
    #expect(memory.descriptor(0x10) == 0x00cf_9300_0000_ffff)
  }

  @Test func `the segment stands where its physical address says, with a zeroed tail`() throws {
    let segment = try #require(try plan(Images.multiboot.build()).segments.last)
    #expect(segment.address == GuestPhysical(0x10_0000))
    #expect(segment.bytes.count == 12 + 64)
    #expect(segment.memorySize == 0x1000)
  }

  @Test func `the information is the golden one`() throws {
    var options = BootOptions(memorySize: 64 << 20, commandLine: "one two", name: "hello.image")
    options.initrd = [7, 8, 9]
    let memory = PlannedMemory(plan: try plan(Images.multiboot.build(), options))
    var golden = [UInt8](repeating: 0, count: 116)
    for (offset, value) in [
      (0, 0x24d), (4, 639), (8, 64 * 1024 - 1024), (16, 0x9100), (20, 1), (24, 0x90f0), (44, 96), (48, 0x9080),
      (64, 0x9120),
    ] as [(Int, UInt32)] {
      golden = golden.replacing(at: offset, little(value))
    }
    #expect(memory.bytes(0x9000, 116) == golden)
    let entries: [(base: UInt64, size: UInt64, kind: UInt32)] = [
      (0, 0x9fc00, 1), (0x9fc00, 0x400, 2), (0xe0000, 0x20000, 2), (0x10_0000, 0x3f0_0000, 1),
    ]
    var map: [UInt8] = []
    for entry in entries { map += little(UInt32(20)) + little(entry.base) + little(entry.size) + little(entry.kind) }
    #expect(memory.bytes(0x9080, 96) == map)
    #expect(memory.string(0x9100) == "hello.image one two")
    #expect(memory.string(0x9120) == "penumbra")
    // The module: start, end, string, 0.
    #expect(memory.bytes(0x90f0, 16) == [0x10_1000, 0x10_1003, 0x90e0, 0].flatMap { little(UInt32($0)) })
    #expect(memory.string(0x90e0) == "initrd")
    #expect(memory.bytes(0x10_1000, 4) == [7, 8, 9, 0])
  }

  @Test func `without --append the command line is the name alone`() throws {
    let memory = PlannedMemory(plan: try plan(Images.multiboot.build()))
    let information = memory.plan.entry.rbx
    #expect(memory.string(memory.word(information + 16)) == "guest")
    #expect(memory.word(information + 20) == 0)
  }

  @Test func `mem_upper stops at the hole below 4 GiB`() throws {
    let memory = PlannedMemory(plan: try plan(Images.multiboot.build(), BootOptions(memorySize: 8 << 30)))
    #expect(memory.word(0x9000 + 8) == 3 * 1024 * 1024 - 1024)
    #expect(memory.word(0x9000 + 44) == 5 * 24)
  }

  @Test func `a kernel that fills low memory finds the information after its end`() throws {
    let file = ELFBuilder(
      isWide: false, entry: 0x8000,
      segments: [.load(0x8000, Images.multibootHeader() + Images.code, memorySize: 0x8_8000), .load(0x10_0000, [1])])
    let plan = try plan(file.build())
    #expect(plan.entry.rbx == 0x10_0010)
  }

  @Test func `a kernel in low memory is left alone`() throws {
    let file = ELFBuilder(
      isWide: false, entry: 0x9000, segments: [.load(0x9000, Images.multibootHeader() + Images.code)])
    let plan = try plan(file.build())
    #expect(plan.entry.rbx == 0x9050)
  }

  @Test func `ELF64 with low segments is entered in 32-bit mode too`() throws {
    var file = Images.multiboot
    file.isWide = true
    #expect(try plan(file.build()).entry.mode == .protected32)
  }

  @Test func `a virtual entry point is turned into the physical one`() throws {
    var file = Images.multiboot
    file.segments[0].virtualAddress = 0xc010_0000
    file.entry = 0xc010_0010
    #expect(try plan(file.build()).entry.rip == 0x10_0010)
    file.entry = 0x10_0020
    #expect(try plan(file.build()).entry.rip == 0x10_0020)
  }

  @Test func `load addresses in the header replace ELF`() throws {
    let plan = try plan(Images.kludge())
    #expect(plan.entry.rip == 0x20_0030)
    let kernel = try #require(plan.segments.last)
    #expect(kernel.address == GuestPhysical(0x20_0000))
    #expect(Array(kernel.bytes) == Images.kludge())
    #expect(kernel.memorySize == 112)
  }

  @Test func `load and zero end cut and extend what is loaded`() throws {
    let plan = try plan(Images.kludge(header: 0x20_0000, loadEnd: 0x20_0040, zeroEnd: 0x20_9000))
    let kernel = try #require(plan.segments.last)
    #expect(
      Array(kernel.bytes) == Array(Images.kludge(header: 0x20_0000, loadEnd: 0x20_0040, zeroEnd: 0x20_9000)[16..<80]))
    #expect(kernel.memorySize == 0x9000)
  }

  @Test func `a Multiboot header goes before a PVH note`() throws {
    var file = Images.pvh
    file.segments[0].bytes = Images.multibootHeader() + Images.code
    #expect(try BootProtocol.recognise(file.build()) == .multiboot)
  }

  @Test(arguments: [(8180, true), (8184, false), (8178, false)])
  func `a header counts only at a multiple of four and whole within 8 KiB`(offset: Int, found: Bool) throws {
    var file = Images.plain
    file.segments[0].bytes = Array(repeating: 0, count: 9000)
    let image = file.build().replacing(at: offset, Images.multibootHeader())
    #expect(try BootProtocol.recognise(image) == (found ? .multiboot : .plainELF))
  }

  @Test func `a magic number without its checksum is no header of an ELF64 file`() throws {
    var file = Images.plain
    file.segments[0].bytes = little(UInt32(0x1bad_b002)) + Images.code
    #expect(try BootProtocol.recognise(file.build()) == .plainELF)
  }

  @Test func `a wish for a video mode is no reason to refuse`() throws {
    var file = Images.multiboot
    file.segments[0].bytes = Images.multibootHeader(flags: 7) + Images.code
    #expect(PlannedMemory(plan: try plan(file.build())).word(0x9000) & 0x1800 == 0)
  }
}
