import Boot
import Machine
import Testing

@Suite struct PlainELFTests {
  private func plan(_ image: [UInt8], _ options: BootOptions = .small) throws -> BootPlan {
    let plan = try BootPlan.make(image: image, options: options)
    #expect(plan.kind == .plainELF)
    #expect(brokenPromise(plan) == nil)
    return plan
  }

  @Test func `the guest is entered in 64-bit mode with SSE, a stack and interrupts off`() throws {
    let plan = try plan(Images.plain.build())
    let entry = plan.entry
    #expect(entry.mode == .long64)
    #expect(entry.rip == 0x40_0000)
    #expect([entry.cr0, entry.cr4, entry.efer, entry.rflags] == [0x8001_0033, 0x620, 0x500, 2])
    #expect(entry.rsp % 16 == 8)
    #expect(plan.memoryMap.isUsable(GuestPhysical(entry.rsp - 0xfff8), 0x1_0000))
    let stack = try #require(plan.segments.first { $0.name == "stack" })
    #expect(stack.end.rawValue == entry.rsp + 8)
  }

  @Test func `the low 4 GiB are identity-mapped, and nothing above`() throws {
    let memory = PlannedMemory(plan: try plan(Images.plain.build()))
    for page in 0..<2048 as Range<UInt64> { #expect(memory.translate(page << 21 | 0x123) == page << 21 | 0x123) }
    for address in [4 << 30, 1 << 39, 0xffff_ffff_8000_0000] as [UInt64] { #expect(memory.translate(address) == nil) }
  }

  @Test func `RDI points at the information block`() throws {
    var options = BootOptions(memorySize: 64 << 20, commandLine: "fast", processors: 3, hasACPI: true)
    options.initrd = [9, 9]
    let memory = PlannedMemory(plan: try plan(Images.plain.build(), options))
    let block = memory.plan.entry.rdi
    #expect(memory.bytes(block, 8) == Array("PENUMBRA".utf8))
    #expect([memory.word(block + 8), memory.word(block + 12)] == [1, 72])
    #expect(memory.quad(block + 16) == 64 << 20)
    #expect(memory.string(memory.quad(block + 24)) == "fast")
    #expect([memory.quad(block + 32), memory.quad(block + 40)] == [0x3ff_f000, 2])
    #expect([memory.word(block + 56), memory.word(block + 60)] == [4, 3])
    #expect(memory.quad(memory.quad(block + 48) + 72) == 0x10_0000)
    #expect(memory.quad(block + 64) == 0xe0000)
  }

  @Test func `symbols are functions, objects and global labels, sorted`() throws {
    let symbols = try #require(try plan(Images.plain.build()).symbols).symbols
    #expect(
      symbols.map { "\($0.name) \($0.address) \($0.size) \($0.kind)" } == [
        "_start 0x400000 0 label", "main 0x400010 32 function", "counter 0x410000 8 object",
      ])
  }

  @Test func `ELF32 symbols are read too, and a file without any has none`() throws {
    let narrow = try BootPlan.make(image: Images.multiboot.build(), options: .small).symbols?.symbols
    #expect(narrow == [Symbol(name: "start", address: GuestVirtual(0x10_0010), size: 16, kind: .function)])
    #expect(try BootPlan.make(image: Images.pvh.build(), options: .small).symbols == nil)
  }

  @Test func `a symbol table outside the file is passed over`() throws {
    let image = Images.plain.build().replacing(at: 40, little(UInt64.max))
    #expect(try plan(image).symbols == nil)
  }

  @Test func `a name without an end is cut`() throws {
    var file = Images.plain
    file.symbols = [.init(name: String(repeating: "x", count: 5000), address: 0x40_0000)]
    let symbols = try #require(try plan(file.build()).symbols).symbols
    #expect(symbols.map(\.name.count) == [SymbolTable.longestName])
  }
}
