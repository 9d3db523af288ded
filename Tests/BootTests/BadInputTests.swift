import Boot
import Machine
import Testing

/// A file or a wish that must be refused, and the one line that says why.
struct BadInput: CustomTestStringConvertible, Sendable {
  var name: String
  var image: [UInt8]
  var options: BootOptions
  var text: String
  var testDescription: String { name }

  init(_ name: String, _ image: [UInt8], _ text: String, options: BootOptions = .small) {
    self.name = name
    self.image = image
    self.options = options
    self.text = text
  }

  /// A file with one field of its first program header replaced.
  init(_ name: String, _ file: ELFBuilder, field: String, _ value: UInt64, _ text: String) {
    let bytes = file.isWide ? little(value) : little(UInt32(value))
    self.init(name, file.build().replacing(at: file.offset(of: field, inHeader: 0), bytes), text)
  }
}

@Suite struct BadInputTests {
  private func check(_ input: BadInput) {
    let error = #expect(throws: BootError.self) { try BootPlan.make(image: input.image, options: input.options) }
    #expect(error?.description == input.text)
    #expect(error?.description.contains("\n") == false)
  }

  @Test(arguments: images) func `a file that is no guest is refused`(input: BadInput) { check(input) }
  @Test(arguments: headers) func `a broken ELF header is refused`(input: BadInput) { check(input) }
  @Test(arguments: segments) func `a broken segment is refused`(input: BadInput) { check(input) }
  @Test(arguments: multiboot) func `a broken Multiboot header is refused`(input: BadInput) { check(input) }
  @Test(arguments: notes) func `a broken note is refused`(input: BadInput) { check(input) }
  @Test(arguments: linux) func `a broken bzImage is refused`(input: BadInput) { check(input) }
  @Test(arguments: options) func `an option that cannot be passed on is refused`(input: BadInput) { check(input) }

  @Test func `every prefix of a valid file is planned or refused`() {
    for image in [
      Images.multiboot.build(), Images.kludge(), Images.pvh.build(), Images.plain.build(), Images.linux(),
    ] {
      for length in 0..<image.count {
        if let plan = try? BootPlan.make(image: Array(image[..<length]), options: .small) {
          #expect(brokenPromise(plan) == nil)
        }
      }
    }
  }

  static let images = [
    BadInput("empty", [], "image: the file is empty"),
    BadInput("one byte", [0x7f], "image: neither ELF, nor a Linux bzImage, nor a file with a Multiboot header"),
    BadInput(
      "text", Array("#!/bin/sh\n".utf8), "image: neither ELF, nor a Linux bzImage, nor a file with a Multiboot header"),
    BadInput(
      "8 KiB of zero", Array(repeating: 0, count: 8192),
      "image: neither ELF, nor a Linux bzImage, nor a file with a Multiboot header"),
    BadInput(
      "magic of ELF alone", [0x7f, 0x45, 0x4c, 0x46],
      "ELF header: bytes 0x4 + 0x1 reach beyond the 0x4 bytes there are"),
    BadInput(
      "ELF32 without a Multiboot header",
      ELFBuilder(isWide: false, entry: 0x10_0000, segments: [.load(0x10_0000, Images.code)]).build(),
      "image: an ELF32 file needs a Multiboot header in its first 8 KiB or a PVH note"),
  ]

  static let headers: [BadInput] = {
    let plain = Images.plain.build()
    func patched(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] { plain.replacing(at: offset, bytes) }
    return [
      BadInput("cut", Array(plain[..<40]), "ELF header: bytes 0x36 + 0x2 reach beyond the 0x28 bytes there are"),
      BadInput("class", patched(4, [3]), "ELF header: class 3 is neither ELF32 (1) nor ELF64 (2)"),
      BadInput("big-endian", patched(5, [2]), "ELF header: byte order 2 is not little-endian (1)"),
      BadInput("version", patched(6, [9]), "ELF header: version 9 is not 1"),
      BadInput(
        "AArch64", patched(18, little(UInt16(183))),
        "ELF header: machine 183 is not x86-64 (62), which ELF64 must be for"),
      BadInput(
        "x86-64 in ELF32", patched(4, [1]), "ELF header: machine 62 is not 80386 (3), which ELF32 must be for"),
      BadInput(
        "object file", patched(16, little(UInt16(1))),
        "ELF header: it is an object file (ET_REL), which a linker has to link first"),
      BadInput(
        "position-independent", patched(16, little(UInt16(3))),
        "ELF header: it is position-independent (ET_DYN) and needs a dynamic loader; link it with -no-pie"),
      BadInput("core dump", patched(16, little(UInt16(4))), "ELF header: it is a core dump (ET_CORE)"),
      BadInput("unknown type", patched(16, little(UInt16(0xfe00))), "ELF header: type 65024 is not executable (2)"),
      BadInput(
        "no program headers", patched(56, [0, 0]),
        "ELF header: it has no program headers, so there is nothing to load"),
      BadInput(
        "PN_XNUM", patched(56, [0xff, 0xff]), "ELF header: 65535 or more program headers (PN_XNUM) are not supported"),
      BadInput(
        "too many program headers", patched(56, [0xfe, 0xff]),
        "program header table at offset 0x40: bytes 0x40 + 0x37ff90 reach beyond the "
          + "0x\(String(plain.count, radix: 16)) bytes there are"),
      BadInput(
        "program header size", patched(54, little(UInt16(32))),
        "ELF header: a program header has 32 bytes instead of 56"),
      BadInput(
        "table at the end of the address space", patched(32, little(UInt64.max - 55)),
        "program header table at offset 0xffffffffffffffc8: bytes 0xffffffffffffffc8 + 0x70 reach beyond the "
          + "0x\(String(plain.count, radix: 16)) bytes there are"),
      BadInput(
        "entry", patched(24, little(UInt64(0x50_0000))),
        "ELF header: the entry point 0x500000 lies outside every loaded segment"),
      BadInput(
        "entry at the end of a segment", patched(24, little(UInt64(0x40_0040))),
        "ELF header: the entry point 0x400040 lies outside every loaded segment"),
      BadInput(
        "interpreter", patched(Images.plain.offset(of: "p_type", inHeader: 1), [3]),
        "program header 1: the file is dynamically linked and wants an interpreter; link it with -static"),
    ]
  }()

  static let segments: [BadInput] = {
    let size = "0x" + String(Images.plain.build().count, radix: 16)
    var overlapping = Images.plain
    overlapping.segments[1] = .load(0x40_003f, [1])
    var nothing = Images.plain
    nothing.segments = [.load(0x40_0000, [])]
    var low = Images.plain
    low.segments[1] = .load(0x9_f000, [1], memorySize: 0x1000)
    var onlyNotes = Images.plain
    onlyNotes.segments = [.note([])]
    return [
      BadInput(
        "more in the file than in memory", Images.plain, field: "p_memsz", 63,
        "program header 0: its 0x40 bytes in the file do not fit its 0x3f bytes of memory"),
      BadInput(
        "beyond the file", Images.plain, field: "p_offset", 0x1000,
        "program header 0: bytes 0x1000 + 0x40 reach beyond the \(size) bytes there are"),
      BadInput(
        "an offset that wraps", Images.plain, field: "p_offset", .max,
        "program header 0: bytes 0xffffffffffffffff + 0x40 reach beyond the \(size) bytes there are"),
      BadInput(
        "above RAM", Images.plain, field: "p_paddr", 0x400_0000,
        "kernel segment 0 at address 0x4000000: its 0x40 bytes are not all usable memory of a guest with 65536 KiB"),
      BadInput(
        "across the end of RAM", Images.plain, field: "p_paddr", 0x3ff_ffff,
        "kernel segment 0 at address 0x3ffffff: its 0x40 bytes are not all usable memory of a guest with 65536 KiB"),
      BadInput(
        "above 4 GiB", Images.plain, field: "p_paddr", 0x1_0000_0000,
        "kernel segment 0 at address 0x100000000: its end 0x100000040 lies above 0x100000000, which the protocol "
          + "cannot reach"),
      BadInput(
        "a higher-half kernel loaded there", Images.plain, field: "p_paddr", 0xffff_ffff_8000_0000,
        "kernel segment 0 at address 0xffffffff80000000: its end 0xffffffff80000040 lies above 0x100000000, which the "
          + "protocol cannot reach"),
      BadInput(
        "an absurd size", Images.plain, field: "p_memsz", 1 << 62,
        "kernel segment 0 at address 0x400000: its end 0x4000000000400000 lies above 0x100000000, which the protocol "
          + "cannot reach"),
      BadInput(
        "a size that wraps", Images.plain, field: "p_memsz", .max,
        "kernel segment 0 at address 0x400000: its size of 0xffffffffffffffff bytes wraps the address"),
      BadInput(
        "overlap", overlapping.build(), "kernel segment 1 at address 0x40003f: it overlaps kernel segment 0"),
      BadInput(
        "firmware's data", low.build(),
        "kernel segment 1 at address 0x9f000: its 0x1000 bytes are not all usable memory of a guest with 65536 KiB"),
      BadInput("empty segments only", nothing.build(), "image: it has no segment to load"),
      BadInput("notes only", onlyNotes.build(), "image: it has no segment to load"),
      BadInput(
        "no room for stack and tables",
        ELFBuilder(
          entry: 0x9000,
          segments: [.load(0x9000, [1], memorySize: 0x8_7000), .load(0x10_0000, [1], memorySize: 0xf_f000)]
        ).build(),
        "stack: no free place for its 0x10000 bytes in a guest with 2048 KiB",
        options: BootOptions(memorySize: 2 << 20)),
    ]
  }()

  static let multiboot: [BadInput] = {
    var required = Images.multiboot
    required.segments[0].bytes = Images.multibootHeader(flags: 0x8003) + Images.code
    var checksum = Images.multiboot
    checksum.segments[0].bytes = Images.multibootHeader().replacing(at: 8, [0]) + Images.code
    var high = Images.multiboot
    high.isWide = true
    high.segments.append(.load(0x1_0000_0000, [1]))
    var cut = Images.kludge()
    cut.removeLast(64 + 8)
    return [
      BadInput(
        "unknown requirement", required.build(),
        "Multiboot header at offset 0x54: it requires what is not supported: flag bits 0x8000"),
      BadInput(
        "checksum in ELF32", checksum.build(),
        "Multiboot header at offset 0x54: magic, flags and checksum do not add up to 0"),
      BadInput(
        "checksum in a file without ELF", Images.kludge().replacing(at: 24, [0xff]),
        "Multiboot header at offset 0x10: magic, flags and checksum do not add up to 0"),
      BadInput(
        "neither ELF nor addresses", Images.multibootHeader() + Images.code,
        "Multiboot header at offset 0x0: without load addresses (flag bit 16) the file has to be ELF"),
      BadInput(
        "ELF64 above 4 GiB", high.build(),
        "kernel segment 1 at address 0x100000000: its end 0x100000001 lies above 0x100000000, which the protocol "
          + "cannot reach", options: BootOptions(memorySize: 8 << 30)),
      BadInput(
        "header cut", cut, "Multiboot header at offset 0x10: bytes 0x28 + 0x4 reach beyond the 0x28 bytes there are"),
      BadInput(
        "header below its load address", Images.kludge(header: 0x1f_ffff),
        "Multiboot header at offset 0x10: header_addr 0x1fffff and load_addr 0x200000 put the kernel's start outside "
          + "the file"),
      BadInput(
        "start before the file", Images.kludge(header: 0x20_0011),
        "Multiboot header at offset 0x10: header_addr 0x200011 and load_addr 0x200000 put the kernel's start outside "
          + "the file"),
      BadInput(
        "load end below", Images.kludge(loadEnd: 0x1f_0000),
        "Multiboot header at offset 0x10: load_end_addr 0x1f0000 is not above load_addr 0x200000"),
      BadInput(
        "load end beyond the file", Images.kludge(loadEnd: 0x20_1000),
        "Multiboot header at offset 0x10: bytes 0x0 + 0x1000 reach beyond the 0x70 bytes there are"),
      BadInput(
        "zero end below", Images.kludge(zeroEnd: 0x20_0010),
        "Multiboot header at offset 0x10: bss_end_addr 0x200010 is below the end of what is loaded"),
      BadInput(
        "zero end beyond RAM", Images.kludge(zeroEnd: 0xffff_ffff),
        "kernel at address 0x200000: its 0xffdfffff bytes are not all usable memory of a guest with 65536 KiB"),
      BadInput(
        "entry outside", Images.kludge(entry: 0x10_0000),
        "Multiboot header at offset 0x10: the entry point 0x100000 lies outside every loaded segment"),
    ]
  }()

  static let notes: [BadInput] = {
    func file(_ note: [UInt8]) -> [UInt8] {
      var file = Images.pvh
      file.segments[1].bytes = note
      return file.build()
    }
    let entry = little(UInt32(0x100_0020))
    return [
      BadInput(
        "name beyond the segment", file(Images.note(entry, nameSize: .max)),
        "note in segment 1 at offset 0x0: bytes 0xc + 0xffffffff reach beyond the 0x14 bytes there are"),
      BadInput(
        "descriptor beyond the segment", file(Images.note(entry, descriptorSize: .max)),
        "note in segment 1 at offset 0x0: bytes 0x10 + 0xffffffff reach beyond the 0x14 bytes there are"),
      BadInput(
        "second note", file(Images.note(type: 1, entry) + Images.note(entry, descriptorSize: 5)),
        "note in segment 1 at offset 0x14: bytes 0x24 + 0x5 reach beyond the 0x28 bytes there are"),
      BadInput(
        "descriptor of two bytes", file(Images.note([1, 2])),
        "note in segment 1 at offset 0x0: the PVH entry point has 2 bytes instead of 4 or 8"),
      BadInput(
        "entry above 4 GiB", file(Images.note(little(UInt64(1) << 32))),
        "note in segment 1 at offset 0x0: the PVH entry point 0x100000000 lies above 4 GiB"),
      BadInput(
        "entry outside", file(Images.note(little(UInt32(0x100_2000)))),
        "PVH note: the entry point 0x1002000 lies outside every loaded segment"),
      BadInput(
        "note segment beyond the file",
        Images.pvh.build().replacing(at: Images.pvh.offset(of: "p_filesz", inHeader: 1), little(UInt64.max)),
        "note segment 1: bytes 0xf0 + 0xffffffffffffffff reach beyond the 0x120 bytes there are"),
    ]
  }()

  static let linux: [BadInput] = {
    let image = Images.linux()
    func patched(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] { image.replacing(at: offset, bytes) }
    return [
      BadInput("boot flag", patched(0x1fe, [0]), "setup header: boot flag 0xaa00 is not 0xaa55"),
      BadInput("old", patched(0x206, [5, 2]), "setup header: boot protocol 2.5 is older than 2.6"),
      BadInput("zImage", patched(0x211, [0]), "setup header: it is a zImage, loaded below 1 MiB, and not a bzImage"),
      BadInput(
        "header too short", patched(0x201, [0x20]), "setup header: its end 0x222 is not between 0x264 and 0x290"),
      BadInput(
        "header too long", patched(0x201, [0xff]), "setup header: its end 0x301 is not between 0x264 and 0x290"),
      BadInput(
        "file ends in the header", Array(image[..<0x230]),
        "setup header: bytes 0x1f1 + 0x7b reach beyond the 0x230 bytes there are"),
      BadInput(
        "no kernel", Array(image[..<1024]), "protected-mode kernel at offset 0x400: the file ends before it"),
      BadInput(
        "cut", patched(0x1f4, little(UInt32(0x31))),
        "protected-mode kernel at offset 0x400: 0x310 bytes are announced and 0x300 are there"),
      BadInput(
        "absurd size", patched(0x1f4, little(UInt32.max)),
        "protected-mode kernel at offset 0x400: 0xffffffff0 bytes are announced and 0x300 are there"),
      BadInput(
        "alignment", patched(0x230, [3]), "setup header: kernel alignment 0x200003 is no power of two"),
      BadInput(
        "absurd need", patched(0x260, little(UInt32.max)),
        "protected-mode kernel at address 0x1000000: it needs 0xffffffff bytes, for which 65536 KiB of memory have "
          + "no room"),
      BadInput(
        "no room anywhere", patched(0x260, little(UInt32(0x3f0_0000))).replacing(at: 0x258, little(UInt64.max)),
        "protected-mode kernel at address 0xffffffffffffffff: it needs 0x3f00000 bytes, for which 65536 KiB of memory "
          + "have no room"),
      BadInput(
        "64-bit entry beyond the end", Array(image[..<0x600]).replacing(at: 0x1f4, little(UInt32(0))),
        "protected-mode kernel: it ends before its 64-bit entry point at 0x200"),
      BadInput(
        "command line", image, "command line: 256 bytes are more than the 255 that the kernel takes",
        options: BootOptions(memorySize: 64 << 20, commandLine: String(repeating: "x", count: 256))),
    ]
  }()

  static let options: [BadInput] = {
    let image = Images.plain.build()
    func wish(_ change: (inout BootOptions) -> Void) -> BootOptions {
      var options = BootOptions.small
      change(&options)
      return options
    }
    return [
      BadInput(
        "command line", image, "command line: 16385 bytes are more than 16384",
        options: wish { $0.commandLine = String(repeating: "x", count: 16385) }),
      BadInput(
        "NUL", image, "command line: it contains a NUL, which would end it for the guest",
        options: wish { $0.commandLine = "a\0b" }),
      BadInput(
        "name", image, "guest name: 20000 bytes are more than 16384",
        options: wish { $0.name = String(repeating: "n", count: 20000) }),
      BadInput("empty initrd", image, "initrd: the file is empty", options: wish { $0.initrd = [] }),
      BadInput(
        "initrd larger than memory", image, "initrd: no free place for its 0x500000 bytes in a guest with 5120 KiB",
        options: wish {
          $0.memorySize = 5 << 20
          $0.initrd = Array(repeating: 0, count: 5 << 20)
        }),
      BadInput(
        "no processors", image, "processors: 0 is not between 1 and 65535", options: wish { $0.processors = 0 }),
      BadInput(
        "memory", image, "memory size: 0x1000 bytes are fewer than the 2 MiB that a PC needs",
        options: wish { $0.memorySize = 4096 }),
      BadInput(
        "memory too small for the guest", image,
        "kernel segment 0 at address 0x400000: its 0x40 bytes are not all usable memory of a guest with 4096 KiB",
        options: wish { $0.memorySize = 4 << 20 }),
    ]
  }()
}
