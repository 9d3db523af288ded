/// A structure for the guest, written field by field, little-endian.
///
/// Its size is chosen by the code that fills it, never by a guest's file.
struct ByteWriter {
  private(set) var bytes: [UInt8]

  /// A structure of `count` bytes, all zero.
  init(count: Int) { bytes = Array(repeating: 0, count: count) }

  /// Stores an integer at a fixed offset inside the structure.
  mutating func put(_ value: some FixedWidthInteger & UnsignedInteger, at offset: Int) {
    for byte in 0..<value.bitWidth / 8 {
      bytes[offset + byte] = UInt8(truncatingIfNeeded: value >> (byte * 8))
    }
  }

  /// Appends an integer.
  mutating func append(_ value: some FixedWidthInteger & UnsignedInteger) {
    let offset = bytes.count
    bytes.append(contentsOf: repeatElement(0, count: value.bitWidth / 8))
    put(value, at: offset)
  }

  /// Replaces the bytes from an offset on.
  mutating func put(_ field: ArraySlice<UInt8>, at offset: Int) {
    bytes.replaceSubrange(offset..<offset + field.count, with: field)
  }
}
