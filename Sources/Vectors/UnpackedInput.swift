import Emulator
import Glibc
import Zlib

/// A file's bytes a stretch at a time, unpacked where they are gzip (RFC 1952), which their first two bytes tell.
final class UnpackedInput {
  private let path: String
  private let descriptor: Int32
  private let packed: UnsafeMutablePointer<UInt8>
  private static let capacity = 1 << 16
  private var stream = z_stream()
  private var isPacked = false
  /// Between two members of a gzip file, where it may end.
  private var isBetweenMembers = false
  /// The first stretch, which has been looked at.
  private var first = 0

  /// - Throws: `SetupError` of kind `input` for a file that is missing, unreadable or empty.
  init(_ path: String) throws(SetupError) {
    self.path = path
    guard !path.isEmpty else { throw SetupError(.input, "vectors: the file name is empty") }
    var status = stat()
    guard stat(path, &status) == 0 else { throw .input("vectors", path, UnpackedInput.reason(errno)) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw .input("vectors", path, "it is a folder") }
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    packed = .allocate(capacity: UnpackedInput.capacity)
    guard descriptor >= 0 else { throw .input("vectors", path, UnpackedInput.reason(errno)) }
    // Both bytes of gzip's mark, even from a pipe that gives one at a time.
    while first < 2 {
      let count = try readMore(from: first)
      if count == 0 { break }
      first += count
    }
    guard first > 0 else { throw .input("vectors", path, "it is empty") }
    isPacked = first >= 2 && packed[0] == 0x1f && packed[1] == 0x8b
    guard isPacked else { return }
    // 16 more than the window's bits: gzip's wrapper.
    guard inflateInit2_(&stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw SetupError(.defect, "zlib cannot be used")
    }
    stream.next_in = packed
    stream.avail_in = UInt32(first)
  }

  deinit {
    if isPacked { inflateEnd(&stream) }
    packed.deallocate()
    if descriptor >= 0 { close(descriptor) }
  }

  /// Fills some of the buffer and returns how much; 0 at the end.
  func read(into buffer: UnsafeMutableBufferPointer<UInt8>) throws(SetupError) -> Int {
    isPacked ? try unpack(into: buffer) : try copy(into: buffer)
  }

  private func copy(into buffer: UnsafeMutableBufferPointer<UInt8>) throws(SetupError) -> Int {
    let count = first > 0 ? first : try readMore(from: 0)
    first = 0
    for index in 0..<count { buffer[index] = packed[index] }
    return count
  }

  private func unpack(into buffer: UnsafeMutableBufferPointer<UInt8>) throws(SetupError) -> Int {
    stream.next_out = buffer.baseAddress
    stream.avail_out = UInt32(buffer.count)
    while stream.avail_out == UInt32(buffer.count) {
      if stream.avail_in == 0 {
        let count = try readMore(from: 0)
        if count == 0 {
          guard isBetweenMembers else { throw .input("vectors", path, "the gzip data end too early") }
          return 0
        }
        stream.next_in = packed
        stream.avail_in = UInt32(count)
      }
      if isBetweenMembers {
        isBetweenMembers = false
        inflateReset(&stream)
      }
      switch inflate(&stream, Z_NO_FLUSH) {
      case Z_OK, Z_BUF_ERROR: break
      case Z_STREAM_END: isBetweenMembers = true
      default: throw .input("vectors", path, "the gzip data are damaged")
      }
    }
    return buffer.count - Int(stream.avail_out)
  }

  private func readMore(from start: Int) throws(SetupError) -> Int {
    while true {
      let count = Glibc.read(descriptor, packed + start, UnpackedInput.capacity - start)
      if count >= 0 { return count }
      guard errno == EINTR else { throw .input("vectors", path, UnpackedInput.reason(errno)) }
    }
  }

  private static func reason(_ code: Int32) -> String {
    code == ENOENT ? "no such file" : String(cString: strerror(code)).lowercased()
  }
}
