import Boot
import Machine
import Testing

@Suite struct PVHTests {
  private func plan(_ image: [UInt8], _ options: BootOptions = .small) throws -> BootPlan {
    let plan = try BootPlan.make(image: image, options: options)
    #expect(plan.kind == .pvh)
    #expect(brokenPromise(plan) == nil)
    return plan
  }

  @Test func `the kernel is entered where its note says, paging off`() throws {
    let entry = try plan(Images.pvh.build()).entry
    #expect(entry.mode == .protected32)
    #expect(entry.rip == 0x100_0020)
    #expect(entry.cr0 == 0x11)
    #expect(entry.cr4 == 0)
    #expect(entry.tr == SegmentState(selector: 0x20, limit: 0x67, attributes: 0x8b))
  }

  @Test func `EBX points at version 1 of the start information`() throws {
    var options = BootOptions(memorySize: 4 << 30, commandLine: "console=ttyS0", hasACPI: true)
    options.initrd = Array(repeating: 5, count: 5000)
    let memory = PlannedMemory(plan: try plan(Images.pvh.build(), options))
    let start = memory.plan.entry.rbx
    #expect(memory.word(start) == 0x336e_c578)
    #expect(memory.word(start + 4) == 1)
    #expect(memory.string(memory.quad(start + 24)) == "console=ttyS0")
    #expect(memory.quad(start + 32) == 0xe0000)
    #expect(memory.word(start + 48) == 5)
    let last = memory.quad(start + 40) + 4 * 24
    #expect([memory.quad(last), memory.quad(last + 8), memory.word(last + 16)] == [4 << 30, 1 << 30, 1])
    #expect(memory.word(start + 12) == 1)
    let module = memory.quad(start + 16)
    #expect([memory.quad(module), memory.quad(module + 8)] == [0xbfff_e000, 5000])
    #expect(memory.byte(0xbfff_e000) == 5)
  }

  @Test func `without an initrd there is no module and the command line is still a string`() throws {
    let memory = PlannedMemory(plan: try plan(Images.pvh.build()))
    let start = memory.plan.entry.rbx
    #expect([memory.word(start + 12), memory.quad(start + 16)] == [0, 0])
    #expect(memory.quad(start + 24) != 0)
    #expect(memory.string(memory.quad(start + 24)) == "")
  }

  @Test func `a descriptor of eight bytes, as Linux writes it, is as good`() throws {
    var file = Images.pvh
    file.segments[1].bytes = Images.note(little(UInt64(0x100_0010)))
    #expect(try plan(file.build()).entry.rip == 0x100_0010)
  }

  @Test func `an ELF32 kernel with a note is booted too`() throws {
    var file = Images.pvh
    file.isWide = false
    file.segments[0].virtualAddress = 0x100_0000
    #expect(try plan(file.build()).entry.rip == 0x100_0020)
  }

  @Test func `notes of a segment aligned to eight are padded to eight`() throws {
    var file = Images.pvh
    // 12 bytes of header, 4 of name, 4 of descriptor: 24 in an 8-aligned segment.
    let property = Images.note(name: "GNU", type: 5, [0, 0, 0, 0]) + [0, 0, 0, 0]
    file.segments[1] = .note(property + Images.note(little(UInt32(0x100_0010))), alignment: 8)
    #expect(try plan(file.build()).entry.rip == 0x100_0010)
  }

  @Test(arguments: [("Xen", UInt32(17)), ("XEN", 18), ("Xenon", 18), ("", 18)])
  func `another name or type is no PVH note`(name: String, type: UInt32) throws {
    var file = Images.pvh
    file.segments[1].bytes = Images.note(name: name, type: type, [0, 0, 0, 0])
    #expect(try BootProtocol.recognise(file.build()) == .plainELF)
  }
}
