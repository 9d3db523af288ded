import Boot
import Machine
import Testing

@Suite struct LinuxBootTests {
  private func plan(_ image: [UInt8], _ options: BootOptions = .small) throws -> BootPlan {
    let plan = try BootPlan.make(image: image, options: options)
    #expect(plan.kind == .linux)
    #expect(brokenPromise(plan) == nil)
    return plan
  }

  @Test func `the kernel is entered in 64-bit mode at its load address + 0x200`() throws {
    let plan = try plan(Images.linux())
    #expect(plan.entry.mode == .long64)
    #expect(plan.entry.rip == 0x100_0200)
    #expect([plan.entry.cr0, plan.entry.cr4, plan.entry.efer] == [0x8000_0011, 0x20, 0x500])
    #expect(plan.entry.cs == SegmentState(selector: 0x10, limit: .max, attributes: 0xa09b))
    #expect(plan.entry.data.selector == 0x18)
    let memory = PlannedMemory(plan: plan)
    #expect(memory.descriptor(0x10) == 0x00af_9b00_0000_ffff)
    #expect(memory.descriptor(0x18) == 0x00cf_9300_0000_ffff)
    for address in [0, plan.entry.rsi, 0x100_0000, 0xffff_ffff] as [UInt64] {
      #expect(memory.translate(address) == address)
    }
    #expect(memory.translate(0x1_0000_0000) == nil)
  }

  @Test func `boot_params hold the header, the map and the command line`() throws {
    let options = BootOptions(memorySize: 64 << 20, commandLine: "quiet", hasACPI: true)
    let memory = PlannedMemory(plan: try plan(Images.linux(), options))
    let page = memory.plan.entry.rsi
    #expect(page % 4096 == 0)
    #expect(memory.bytes(page + 0x1f1, 9) == Array(Images.linux()[0x1f1..<0x1fa]))
    #expect(memory.bytes(page + 0x202, 6) == Array("HdrS".utf8) + [0x0f, 0x02])
    #expect(memory.byte(page + 0x210) == 0xff)
    #expect(memory.byte(page + 0x1ef) == 0)
    #expect(memory.word(page + 0x214) == 0x100_0000)
    #expect(memory.quad(page + 0x70) == 0xe0000)
    #expect(memory.string(memory.word(page + 0x228)) == "quiet")
    #expect(memory.byte(page + 0x1e8) == 4)
    #expect(memory.quad(page + 0x2d0 + 60) == 0x10_0000)
    #expect(memory.quad(page + 0x2d0 + 68) == 63 << 20)
    #expect(memory.word(page + 0x2d0 + 76) == 1)
    #expect(memory.quad(page + 0x218) == 0)
  }

  @Test func `the initrd ends as high as the kernel allows, on a page`() throws {
    var options = BootOptions.small
    options.initrd = Array(repeating: 3, count: 4097)
    let memory = PlannedMemory(plan: try plan(Images.linux(), options))
    let page = memory.plan.entry.rsi
    #expect([memory.word(page + 0x218), memory.word(page + 0x21c)] == [0x3ff_e000, 4097])
    let limited = Images.linux().replacing(at: 0x22c, little(UInt32(0x1ff_ffff)))
    let lower = PlannedMemory(plan: try plan(limited, options))
    #expect(lower.word(page + 0x218) == 0x1ff_e000)
  }

  @Test func `nothing is placed in the memory that the kernel needs to unpack itself`() throws {
    var options = BootOptions(memorySize: 20 << 20)
    options.initrd = [1]
    // 16 MiB to 20 MiB less a page are the kernel's, so that only the last page is left on top.
    let memory = PlannedMemory(plan: try plan(Images.linux(initSize: 0x3f_f000), options))
    #expect(memory.word(memory.plan.entry.rsi + 0x218) == 0x13f_f000)
    let full = PlannedMemory(plan: try plan(Images.linux(initSize: 0x40_0000), options))
    #expect(full.word(full.plan.entry.rsi + 0x218) == 0xff_f000)
  }

  @Test func `with little memory a relocatable kernel is loaded lower`() throws {
    #expect(try plan(Images.linux(), BootOptions(memorySize: 8 << 20)).entry.rip == 0x20_0200)
  }

  @Test func `a kernel that moves itself is loaded at 1 MiB and its target is kept free`() throws {
    var options = BootOptions(memorySize: 17 << 20)
    options.initrd = [1]
    let plan = try plan(Images.linux(relocatable: false), options)
    #expect(plan.entry.rip == 0x10_0200)
    let memory = PlannedMemory(plan: plan)
    #expect(memory.word(plan.entry.rsi + 0x218) == 0xff_f000)
  }

  @Test func `a kernel without the 64-bit entry is entered in 32-bit mode at its start`() throws {
    let entry = try plan(Images.linux(entry64: false)).entry
    #expect(entry.mode == .protected32)
    #expect(entry.rip == 0x100_0000)
    #expect([entry.cs.selector, entry.data.selector] == [0x10, 0x18])
    #expect([entry.rbp, entry.rdi, entry.rbx] == [0, 0, 0])
    #expect(entry.rsi != 0)
  }

  @Test func `setup sectors of 0 mean 4`() throws {
    let image = Images.linux().replacing(at: 0x1f1, [0]).replacing(at: 0x1f4, little(UInt32(1)))
    let longer = image + Array(repeating: 0xdd, count: 0x1000)
    let kernel = try #require(try plan(longer).segments.last)
    #expect(Array(kernel.bytes) == Array(longer[2560...]))
  }
}
