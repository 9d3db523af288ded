extension ELF {
  /// A note of a PT_NOTE segment.
  struct Note {
    /// Without the terminating NUL.
    var name: ArraySlice<UInt8>
    var type: UInt32
    var descriptor: ArraySlice<UInt8>
    var part: Part
  }

  /// The first note that a predicate accepts. A note that reaches beyond its segment is an error.
  func firstNote(where matches: (Note) -> Bool) throws(BootError) -> Note? {
    for header in programHeaders where header.type == SegmentType.note {
      let segment = ByteReader(
        try reader.stretch(
          at: header.offset, count: header.fileSize, in: Part("note segment", .number(header.number))))
      // The gABI aligns names and descriptors to the segment's alignment; what is not 8 is 4 in practice.
      let alignment: UInt64 = header.alignment == 8 ? 8 : 4
      var offset: UInt64 = 0
      // Fewer than 12 bytes at the end are padding.
      while segment.count - offset >= 12 {
        let part = Part("note in segment \(header.number)", .offset(offset))
        let nameSize = UInt64(try segment.integer(UInt32.self, at: offset, in: part))
        let descriptorSize = UInt64(try segment.integer(UInt32.self, at: offset + 4, in: part))
        let type = try segment.integer(UInt32.self, at: offset + 8, in: part)
        let name = try segment.stretch(at: offset + 12, count: nameSize, in: part)
        let start = min(roundUp(offset + 12 + nameSize, alignment), segment.count)
        let descriptor = try segment.stretch(at: start, count: descriptorSize, in: part)
        let note = Note(name: name.last == 0 ? name.dropLast() : name, type: type, descriptor: descriptor, part: part)
        if matches(note) { return note }
        offset = min(roundUp(start + descriptorSize, alignment), segment.count)
      }
    }
    return nil
  }
}
