/// Builds small ELF files, right or wrong, for tests.
struct ELFBuilder {
  struct Segment {
    var type: UInt32 = 1
    var virtualAddress: UInt64
    var physicalAddress: UInt64
    var bytes: [UInt8]
    /// nil: as many as there are bytes.
    var memorySize: UInt64?
    var alignment: UInt64 = 4

    /// A PT_LOAD segment at the same virtual and physical address.
    static func load(_ address: UInt64, _ bytes: [UInt8], memorySize: UInt64? = nil) -> Segment {
      Segment(virtualAddress: address, physicalAddress: address, bytes: bytes, memorySize: memorySize)
    }

    /// A PT_NOTE segment.
    static func note(_ bytes: [UInt8], alignment: UInt64 = 4) -> Segment {
      Segment(type: 4, virtualAddress: 0, physicalAddress: 0, bytes: bytes, alignment: alignment)
    }
  }

  struct Symbol {
    var name: String
    var address: UInt64
    var size: UInt64 = 0
    /// Binding in the upper, type in the lower four bits: 0x12 is a global function.
    var info: UInt8 = 0x12
    var section: UInt16 = 1
  }

  var isWide = true
  var type: UInt16 = 2
  var machine: UInt16?
  var entry: UInt64
  var segments: [Segment]
  var symbols: [Symbol] = []

  /// The offset of the program header table.
  var programHeaders: Int { isWide ? 64 : 52 }
  var programHeaderSize: Int { isWide ? 56 : 32 }

  /// The offset of a field of a program header, by the field's name in the gABI.
  func offset(of field: String, inHeader number: Int) -> Int {
    let wide = ["p_type": 0, "p_offset": 8, "p_vaddr": 16, "p_paddr": 24, "p_filesz": 32, "p_memsz": 40, "p_align": 48]
    let narrow = [
      "p_type": 0, "p_offset": 4, "p_vaddr": 8, "p_paddr": 12, "p_filesz": 16, "p_memsz": 20, "p_align": 28,
    ]
    return programHeaders + number * programHeaderSize + (isWide ? wide : narrow)[field]!
  }

  func build() -> [UInt8] {
    var file: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, isWide ? 2 : 1, 1, 1] + Array(repeating: 0, count: 9)
    file += little(type) + little(machine ?? (isWide ? 62 : 3)) + little(UInt32(1))
    var contents: [UInt8] = []
    let contentStart = programHeaders + segments.count * programHeaderSize
    var headers: [UInt8] = []
    for segment in segments {
      let offset = UInt64(contentStart + contents.count)
      let memorySize = segment.memorySize ?? UInt64(segment.bytes.count)
      headers += little(segment.type)
      if isWide { headers += little(UInt32(7)) }
      for value in [
        offset, segment.virtualAddress, segment.physicalAddress, UInt64(segment.bytes.count), memorySize,
      ] {
        headers += word(value)
      }
      if !isWide { headers += little(UInt32(7)) }
      headers += word(segment.alignment)
      contents += segment.bytes
      while contents.count % 16 != 0 { contents.append(0) }
    }
    let (sections, sectionCount) = symbolSections(at: contentStart + contents.count)
    let sectionTable = sectionCount == 0 ? 0 : UInt64(contentStart + contents.count + sections.symbolBytes)
    file += word(entry) + word(UInt64(programHeaders)) + word(sectionTable)
    file += little(UInt32(0)) + little(UInt16(isWide ? 64 : 52)) + little(UInt16(programHeaderSize))
    file += little(UInt16(segments.count)) + little(UInt16(isWide ? 64 : 40))
    file += little(UInt16(sectionCount)) + little(UInt16(0))
    return file + headers + contents + sections.bytes
  }

  /// `.symtab`, `.strtab` and a section header table (null, symbols, strings).
  private func symbolSections(at start: Int) -> (sections: (bytes: [UInt8], symbolBytes: Int), count: Int) {
    guard !symbols.isEmpty else { return (([], 0), 0) }
    var names: [UInt8] = [0]
    var table: [UInt8] = Array(repeating: 0, count: isWide ? 24 : 16)
    for symbol in symbols {
      table += little(UInt32(names.count))
      if isWide {
        table += [symbol.info, 0] + little(symbol.section) + word(symbol.address) + word(symbol.size)
      } else {
        table += word(symbol.address) + word(symbol.size) + [symbol.info, 0] + little(symbol.section)
      }
      names += Array(symbol.name.utf8) + [0]
    }
    func section(_ type: UInt32, _ offset: Int, _ size: Int, link: UInt32) -> [UInt8] {
      var header = little(UInt32(0)) + little(type) + word(0) + word(0)
      header += word(UInt64(offset)) + word(UInt64(size)) + little(link) + little(UInt32(0)) + word(0) + word(0)
      return header
    }
    let bytes = table + names
    let headers =
      section(0, 0, 0, link: 0) + section(2, start, table.count, link: 2)
      + section(3, start + table.count, names.count, link: 0)
    return ((bytes + headers, bytes.count), 3)
  }

  private func word(_ value: UInt64) -> [UInt8] {
    isWide ? little(value) : little(UInt32(truncatingIfNeeded: value))
  }
}

/// The bytes of an integer, least significant first.
func little<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
  (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}

extension [UInt8] {
  /// The same bytes with some replaced.
  func replacing(at offset: Int, _ bytes: [UInt8]) -> [UInt8] {
    var copy = self
    copy.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    return copy
  }
}
