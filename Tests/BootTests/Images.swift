import Boot
import Machine

/// The valid guest files from which the tests start, and the memory that a plan leaves behind.
enum Images {
  /// Instructions that no test executes.
  static let code: [UInt8] = Array(repeating: 0xf4, count: 64)

  /// A Multiboot header: magic, flags and checksum, and load addresses if there are some.
  static func multibootHeader(flags: UInt32 = 3, addresses: [UInt32] = []) -> [UInt8] {
    let magic: UInt32 = 0x1bad_b002
    return little(magic) + little(flags) + little(0 &- magic &- flags) + addresses.flatMap { little($0) }
  }

  /// An ELF32 Multiboot kernel at 1 MiB with 4 KiB of zeroed memory behind its code.
  static let multiboot = ELFBuilder(
    isWide: false, entry: 0x10_0010,
    segments: [.load(0x10_0000, multibootHeader() + code, memorySize: 0x1000)],
    symbols: [.init(name: "start", address: 0x10_0010, size: 16)])

  /// A Multiboot file without ELF, its load addresses in the header at offset 16.
  static func kludge(
    header: UInt32 = 0x20_0010, load: UInt32 = 0x20_0000, loadEnd: UInt32 = 0, zeroEnd: UInt32 = 0,
    entry: UInt32 = 0x20_0030
  ) -> [UInt8] {
    Array(repeating: 0x90, count: 16)
      + multibootHeader(flags: 0x1_0003, addresses: [header, load, loadEnd, zeroEnd, entry]) + code
  }

  /// A note; the sizes can lie.
  static func note(
    name: String = "Xen", type: UInt32 = 18, _ descriptor: [UInt8], nameSize: UInt32? = nil,
    descriptorSize: UInt32? = nil
  ) -> [UInt8] {
    var bytes = little(nameSize ?? UInt32(name.utf8.count + 1))
    bytes += little(descriptorSize ?? UInt32(descriptor.count)) + little(type) + Array(name.utf8) + [0]
    while bytes.count % 4 != 0 { bytes.append(0) }
    return bytes + descriptor
  }

  /// A higher-half kernel with a PVH entry point, as Linux's vmlinux is.
  static let pvh = ELFBuilder(
    entry: 0x100_0000,
    segments: [
      .init(virtualAddress: 0xffff_ffff_8100_0000, physicalAddress: 0x100_0000, bytes: code, memorySize: 0x2000),
      .note(note(name: "GNU", type: 3, [1, 2, 3, 4]) + note(little(UInt32(0x100_0020)))),
    ])

  /// A static ELF64 file.
  static let plain = ELFBuilder(
    entry: 0x40_0000,
    segments: [.load(0x40_0000, code), .load(0x41_0000, [1, 2, 3], memorySize: 0x3000)],
    symbols: [
      .init(name: "main", address: 0x40_0010, size: 32), .init(name: "_start", address: 0x40_0000, info: 0x10),
      .init(name: "counter", address: 0x41_0000, size: 8, info: 0x11), .init(name: "file.c", address: 0, info: 0x04),
      .init(name: "elsewhere", address: 0, section: 0),
    ])

  /// A relocatable bzImage of protocol 2.15 with one setup sector.
  static func linux(entry64: Bool = true, relocatable: Bool = true, initSize: UInt32 = 0x10_0000) -> [UInt8] {
    var file = [UInt8](repeating: 0, count: 1024) + Array(repeating: 0xcc, count: 0x300)
    for (offset, bytes) in [
      (0x1f1, [1]), (0x1f4, little(UInt32(0x30))), (0x1fe, little(UInt16(0xaa55))), (0x200, [0xeb, 0x6a]),
      (0x202, Array("HdrS".utf8)), (0x206, little(UInt16(0x20f))), (0x211, [1]), (0x214, little(UInt32(0x10_0000))),
      (0x22c, little(UInt32(0x7fff_ffff))), (0x230, little(UInt32(0x20_0000))), (0x234, [relocatable ? 1 : 0]),
      (0x236, little(UInt16(entry64 ? 1 : 0))), (0x238, little(UInt32(255))), (0x258, little(UInt64(0x100_0000))),
      (0x260, little(initSize)),
    ] as [(Int, [UInt8])] {
      file = file.replacing(at: offset, bytes)
    }
    return file
  }
}

extension BootOptions {
  /// 64 MiB and nothing else.
  static var small: BootOptions { BootOptions(memorySize: 64 << 20) }
}

/// Guest memory as a plan prescribes it, for reading what a guest would read.
struct PlannedMemory {
  var plan: BootPlan

  func byte(_ address: UInt64) -> UInt8 {
    guard
      let segment = plan.segments.first(where: {
        $0.address.rawValue <= address && address < $0.end.rawValue
      })
    else { return 0 }
    let offset = Int(address - segment.address.rawValue)
    return offset < segment.bytes.count ? segment.bytes[segment.bytes.startIndex + offset] : 0
  }

  func bytes(_ address: UInt64, _ count: UInt64) -> [UInt8] { (0..<count).map { byte(address + $0) } }
  func word(_ address: UInt64) -> UInt64 { bytes(address, 4).reversed().reduce(0) { $0 << 8 | UInt64($1) } }
  func quad(_ address: UInt64) -> UInt64 { word(address) | word(address + 4) << 32 }

  func string(_ address: UInt64) -> String {
    var bytes: [UInt8] = []
    while byte(address + UInt64(bytes.count)) != 0 { bytes.append(byte(address + UInt64(bytes.count))) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The descriptor that a selector names in the plan's GDT.
  func descriptor(_ selector: UInt16) -> UInt64 { quad(plan.entry.gdt.base + UInt64(selector)) }

  /// Walks the plan's own page tables (SDM vol. 3, figure 4-9), for 2 MiB pages only; nil where nothing is mapped.
  func translate(_ address: UInt64) -> UInt64? {
    var table = plan.entry.cr3
    for shift in [39, 30, 21] as [UInt64] {
      let entry = quad(table + (address >> shift & 0x1ff) * 8)
      guard entry & 1 != 0 else { return nil }
      if shift == 21 { return entry & 0x80 != 0 ? entry & 0xf_ffff_ffe0_0000 | address & 0x1f_ffff : nil }
      table = entry & 0xf_ffff_ffff_f000
    }
    return nil
  }
}

/// What every plan promises: sorted, apart, in RAM, an entry point that is loaded, a GDT that agrees with registers.
func brokenPromise(_ plan: BootPlan) -> String? {
  let memory = PlannedMemory(plan: plan)
  for (lower, upper) in zip(plan.segments, plan.segments.dropFirst()) where lower.end > upper.address {
    return "\(lower.name) overlaps \(upper.name)"
  }
  for segment in plan.segments {
    let isFirmware = segment.address.rawValue >= 0x9fc00 && segment.end.rawValue <= 0x100000
    guard isFirmware || plan.memoryMap.isUsable(segment.address, segment.memorySize) else {
      return "\(segment.name) is outside of RAM"
    }
    if UInt64(segment.bytes.count) > segment.memorySize { return "\(segment.name) has too many bytes" }
  }
  let entry = plan.entry
  if !plan.segments.contains(where: { $0.address.rawValue <= entry.rip && entry.rip < $0.end.rawValue }) {
    return "RIP is not loaded"
  }
  if entry.rflags != 2 { return "RFLAGS is \(entry.rflags)" }
  for register in [entry.cs, entry.data, entry.tr] {
    let descriptor = memory.descriptor(register.selector)
    if UInt32(descriptor >> 40) & 0xf0ff != register.attributes { return "selector \(register.selector) disagrees" }
    if Int(register.selector) + 7 > Int(entry.gdt.limit) { return "selector \(register.selector) is beyond the GDT" }
  }
  let paging = entry.cr0 >> 31 != 0
  if paging != (entry.mode == .long64) { return "CR0 disagrees with the mode" }
  if paging, memory.translate(entry.rip) != entry.rip { return "RIP is not identity-mapped" }
  return nil
}
