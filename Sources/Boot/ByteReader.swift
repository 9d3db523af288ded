/// The only way that this module reads a guest's file: little-endian, and each read checked against the file's end.
///
/// Offsets and sizes are 64-bit numbers straight from the file, and no sum of them may wrap.
struct ByteReader {
  let bytes: ArraySlice<UInt8>

  /// A file with all of its bytes.
  init(_ image: [UInt8]) { bytes = image[...] }

  /// A stretch of a file; offsets count from the stretch's start.
  init(_ stretch: ArraySlice<UInt8>) { bytes = stretch }

  /// The number of bytes that can be read.
  var count: UInt64 { UInt64(bytes.count) }

  /// The integer at an offset, for a part of the file that the error names.
  func integer<Value: FixedWidthInteger & UnsignedInteger>(
    _ type: Value.Type = Value.self, at offset: UInt64, in part: Part
  ) throws(BootError) -> Value {
    let field = try stretch(at: offset, count: UInt64(Value.bitWidth / 8), in: part)
    return field.reversed().reduce(0) { $0 << 8 | Value($1) }
  }

  /// An integer whose width depends on the file's class (ELF32 or ELF64): four or eight bytes.
  func word(at offset: UInt64, isWide: Bool, in part: Part) throws(BootError) -> UInt64 {
    if isWide { return try integer(at: offset, in: part) }
    return UInt64(try integer(UInt32.self, at: offset, in: part))
  }

  /// `count` bytes from an offset, as a slice: nothing is copied.
  func stretch(at offset: UInt64, count length: UInt64, in part: Part) throws(BootError) -> ArraySlice<UInt8> {
    guard offset <= count, length <= count - offset else {
      throw part.error(
        "bytes \(hexadecimal(offset)) + \(hexadecimal(length)) reach beyond the \(hexadecimal(count)) bytes there are")
    }
    // Both fit an Int now, since they are no greater than the slice's own count.
    let start = bytes.startIndex + Int(offset)
    return bytes[start..<start + Int(length)]
  }
}
