import Machine

/// Boots a Linux bzImage (Linux `Documentation/x86/boot.rst` and `zero-page.rst`): 64-bit mode at the load address +
/// 0x200 where the kernel has that entry, else 32-bit protected mode at the load address; (R)SI is `boot_params`.
struct LinuxBoot {
  /// Offsets in the setup header, the same in the file and in `boot_params`.
  private enum Field {
    static let setupSectors: UInt64 = 0x1f1
    static let size16: UInt64 = 0x1f4
    static let bootFlag: UInt64 = 0x1fe
    static let jumpOffset: UInt64 = 0x201
    static let magic: UInt64 = 0x202
    static let version: UInt64 = 0x206
    static let loadFlags: UInt64 = 0x211
    static let initrdLimit: UInt64 = 0x22c
    static let alignment: UInt64 = 0x230
    static let relocatable: UInt64 = 0x234
    static let extraLoadFlags: UInt64 = 0x236
    static let commandLineSize: UInt64 = 0x238
    static let preferredAddress: UInt64 = 0x258
    static let initSize: UInt64 = 0x260
  }

  /// Offsets in `boot_params` that the loader writes.
  private enum Parameter {
    static let rsdp = 0x70
    static let upperMemory = 0x1e0
    static let mapCount = 0x1e8
    static let header = 0x1f1
    static let videoMode = 0x1fa
    static let loaderType = 0x210
    static let entry32 = 0x214
    static let initrd = 0x218
    static let initrdSize = 0x21c
    static let commandLine = 0x228
    /// The end of the room for a setup header; the EDD buffer follows.
    static let headerEnd = 0x290
    static let map = 0x2d0
    static let size = 4096
  }

  /// The bytes from 0x1f1 to the header's end.
  private let header: ArraySlice<UInt8>
  /// The protected-mode kernel.
  private let kernel: ArraySlice<UInt8>
  private let hasEntry64: Bool
  private let commandLineSize: UInt32
  /// The last byte that an initrd may take.
  private let initrdLimit: UInt32
  private let preferredAddress: UInt64
  private let isRelocatable: Bool
  private let alignment: UInt64
  /// What the kernel needs from its run-time start on before it reads the memory map, in bytes.
  private let initSize: UInt64

  /// Whether a file carries a setup header.
  static func isLinux(_ reader: ByteReader) -> Bool {
    let magic = try? reader.stretch(at: Field.magic, count: 4, in: Part("setup header"))
    return magic?.elementsEqual(Array("HdrS".utf8)) ?? false
  }

  /// Reads the setup header of a file for which `isLinux` holds.
  init(_ reader: ByteReader) throws(BootError) {
    let part = Part("setup header")
    func byte(_ offset: UInt64) throws(BootError) -> UInt8 { try reader.integer(at: offset, in: part) }
    func half(_ offset: UInt64) throws(BootError) -> UInt16 { try reader.integer(at: offset, in: part) }
    func word(_ offset: UInt64) throws(BootError) -> UInt32 { try reader.integer(at: offset, in: part) }

    let bootFlag = try half(Field.bootFlag)
    guard bootFlag == 0xaa55 else { throw part.error("boot flag \(hexadecimal(bootFlag)) is not 0xaa55") }
    let version = try half(Field.version)
    guard version >= 0x206 else {
      throw part.error("boot protocol \(version >> 8).\(version & 0xff) is older than 2.6")
    }
    guard try byte(Field.loadFlags) & 1 != 0 else {
      throw part.error("it is a zImage, loaded below 1 MiB, and not a bzImage")
    }

    let end = Field.magic + UInt64(try byte(Field.jumpOffset))
    // 0x23c is where the header of protocol 2.6 ends; later fields are read only by their version.
    let needed = version >= 0x20a ? Field.initSize + 4 : Field.commandLineSize + 4
    guard end >= needed, end <= UInt64(Parameter.headerEnd) else {
      throw part.error("its end \(hexadecimal(end)) is not between \(hexadecimal(needed)) and 0x290")
    }
    let start = UInt64(Parameter.header)
    header = try reader.stretch(at: start, count: end - start, in: part)

    let sectors = try byte(Field.setupSectors)
    let kernelStart = (UInt64(sectors == 0 ? 4 : sectors) + 1) * 512
    let kernelPart = Part("protected-mode kernel", .offset(kernelStart))
    guard kernelStart < reader.count else { throw kernelPart.error("the file ends before it") }
    kernel = try reader.stretch(at: kernelStart, count: reader.count - kernelStart, in: kernelPart)
    // The size counts paragraphs of 16 bytes, of which a file need not fill the last.
    let size = UInt64(try word(Field.size16)) * 16
    guard size < UInt64(kernel.count) + 16 else {
      throw kernelPart.error("\(hexadecimal(size)) bytes are announced and \(hexadecimal(kernel.count)) are there")
    }

    let extra: UInt16 = version >= 0x20c ? try half(Field.extraLoadFlags) : 0
    hasEntry64 = extra & 1 != 0
    commandLineSize = try word(Field.commandLineSize)
    initrdLimit = try word(Field.initrdLimit)
    isRelocatable = try byte(Field.relocatable) != 0
    alignment = UInt64(try word(Field.alignment))
    if version >= 0x20a {
      preferredAddress = try reader.integer(at: Field.preferredAddress, in: part)
      initSize = UInt64(try word(Field.initSize))
    } else {
      preferredAddress = 0
      initSize = 0
    }
    guard !isRelocatable || alignment.nonzeroBitCount == 1 else {
      throw part.error("kernel alignment \(hexadecimal(alignment)) is no power of two")
    }
  }

  /// Where bzImages are loaded unless they say otherwise: 1 MiB.
  private static let standardAddress: UInt64 = 1 << 20

  /// Where to load the kernel, and the addresses that it takes before it reads the memory map.
  private func loadAddress(_ map: MemoryMap) throws(BootError) -> (load: UInt64, taken: Range<UInt64>) {
    let needed = max(initSize, UInt64(kernel.count))
    func fits(_ address: UInt64) -> Bool {
      address < map.lowEnd && map.isUsable(GuestPhysical(address), needed)
    }
    let preferred = preferredAddress == 0 ? Self.standardAddress : preferredAddress
    if !isRelocatable {
      // It moves itself to where it runs.
      if fits(preferred) { return (Self.standardAddress, preferred..<preferred + needed) }
    } else {
      // Out of reach, the address is left alone, so that rounding cannot wrap.
      for wanted in [preferred, Self.standardAddress] where wanted < map.lowEnd {
        let load = roundUp(wanted, alignment)
        if fits(load) { return (load, load..<load + needed) }
      }
    }
    throw BootError(
      "protected-mode kernel", .address(preferred),
      "it needs \(hexadecimal(needed)) bytes, for which \(map.memorySize >> 10) KiB of memory have no room")
  }

  func plan(_ map: MemoryMap, _ options: BootOptions) throws(BootError) -> (Layout, EntryState) {
    let length = options.commandLine.utf8.count
    guard length <= Int(commandLineSize) else {
      throw BootError("command line", nil, "\(length) bytes are more than the \(commandLineSize) that the kernel takes")
    }
    let (load, taken) = try loadAddress(map)
    var layout = try Layout(
      map,
      kernel: [
        Segment(name: "kernel", address: GuestPhysical(load), bytes: kernel, memorySize: UInt64(kernel.count))
      ])
    layout.keep(taken)

    var parameters = ByteWriter(count: Parameter.size)
    parameters.put(header, at: Parameter.header)
    parameters.put(UInt16(0xffff), at: Parameter.videoMode)
    // A loader without an assigned number.
    parameters.put(UInt8(0xff), at: Parameter.loaderType)
    parameters.put(UInt32(load), at: Parameter.entry32)
    parameters.put(options.rsdp?.rawValue ?? 0, at: Parameter.rsdp)
    parameters.put(UInt32((map.lowEnd - 1 << 20) >> 10), at: Parameter.upperMemory)
    parameters.put(UInt8(map.entries.count), at: Parameter.mapCount)
    for (index, entry) in map.entries.enumerated() {
      let offset = Parameter.map + index * 20
      parameters.put(entry.base.rawValue, at: offset)
      parameters.put(entry.size, at: offset + 8)
      parameters.put(entry.kind.rawValue, at: offset + 16)
    }
    let commandLine = try layout.place("command line", terminated(options.commandLine))
    parameters.put(UInt32(commandLine.rawValue), at: Parameter.commandLine)
    // Left as in the file they would point at a RAM disk that does not exist.
    parameters.put(UInt64(0), at: Parameter.initrd)
    if let initrd = options.initrd {
      let start = try layout.placeHigh("initrd", initrd[...], below: UInt64(initrdLimit) + 1)
      parameters.put(UInt32(start.rawValue), at: Parameter.initrd)
      parameters.put(UInt32(initrd.count), at: Parameter.initrdSize)
    }
    let address = try layout.place("boot parameters", parameters.bytes[...], alignment: 4096)

    var state =
      hasEntry64
      ? try EntryState.long64(at: load + 0x200, in: &layout) : try EntryState.linux32(at: load, in: &layout)
    guard !hasEntry64 || kernel.count > 0x200 else {
      throw BootError("protected-mode kernel", nil, "it ends before its 64-bit entry point at 0x200")
    }
    state.rsi = address.rawValue
    return (layout, state)
  }
}
