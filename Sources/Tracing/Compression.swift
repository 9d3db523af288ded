import Zlib

/// Deflated bytes (RFC 1951) in one of zlib's wrappers. Another version of zlib may pack the same bytes differently, so
/// packed bytes are unpacked before they are compared.
enum Compression: Int32 {
  /// RFC 1950.
  case zlib = 15
  /// RFC 1952, without name and time: what `gzip -d` takes.
  case gzip = 31

  func pack(_ bytes: [UInt8]) -> [UInt8]? {
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard deflateInit2_(&stream, 9, Z_DEFLATED, rawValue, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size) == Z_OK else {
      return nil
    }
    defer { deflateEnd(&stream) }
    // The bound counts zlib's own wrapper; gzip's is twelve bytes longer.
    let room = Int(deflateBound(&stream, UInt(bytes.count))) + 12
    guard let available = UInt32(exactly: bytes.count), let space = UInt32(exactly: room) else { return nil }
    var input = bytes
    return input.withUnsafeMutableBufferPointer { source in
      [UInt8](unsafeUninitializedCapacity: room) { target, count in
        stream.next_in = source.baseAddress
        stream.avail_in = available
        stream.next_out = target.baseAddress
        stream.avail_out = space
        let isWhole = deflate(&stream, Z_FINISH) == Z_STREAM_END
        count = isWhole ? room - Int(stream.avail_out) : 0
      }
    }
  }

  /// The bytes that were packed; nil for what is damaged, has bytes after its end, or unpacks to more than the limit.
  func unpack(_ packed: [UInt8], limit: Int) -> [UInt8]? {
    var stream = z_stream()
    guard let available = UInt32(exactly: packed.count),
      inflateInit2_(&stream, rawValue, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK
    else { return nil }
    defer { inflateEnd(&stream) }
    var input = packed
    var unpacked: [UInt8] = []
    let isWhole = input.withUnsafeMutableBufferPointer { source in
      stream.next_in = source.baseAddress
      stream.avail_in = available
      return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 1 << 16) { chunk in
        while true {
          stream.next_out = chunk.baseAddress
          stream.avail_out = UInt32(chunk.count)
          let status = inflate(&stream, Z_NO_FLUSH)
          unpacked.append(contentsOf: chunk[..<(chunk.count - Int(stream.avail_out))])
          guard unpacked.count <= limit else { return false }
          if status == Z_STREAM_END { return stream.avail_in == 0 }
          guard status == Z_OK else { return false }
        }
      }
    }
    return isWhole ? unpacked : nil
  }
}
