import Foundation

/// A file that was given to a run, whole, with what identifies it.
public struct InputFile: Equatable, Sendable {
  /// The name by which the user gave it.
  public var name: String
  public var bytes: [UInt8]

  public init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
  }

  /// SHA-256 of the content, 64 lower-case hexadecimal digits.
  public var sha256: String { contentHash(bytes) }

  /// Reads a file.
  /// - Parameters:
  ///   - what: the kind of input, for the error: `guest`, `profile`, `initrd`.
  ///   - limit: the greatest size in bytes that makes sense.
  /// - Throws: `SetupError` of kind `input` for a file that is missing, unreadable, no regular file, empty or too
  ///   large.
  public static func read(_ path: String, what: String, limit: Int = 4 << 30) throws(SetupError) -> InputFile {
    guard !path.isEmpty else { throw SetupError(.input, "\(what): the file name is empty") }
    guard !path.utf8.contains(0) else { throw .input(what, path, "the file name contains a NUL") }
    // Looked at before it is opened: opening a FIFO would wait for its writer.
    var status = stat()
    guard stat(path, &status) == 0 else { throw .input(what, path, reason(errno)) }
    guard status.st_mode & S_IFMT != S_IFDIR else { throw .input(what, path, "it is a folder") }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .input(what, path, "it is not a regular file") }
    guard status.st_size <= limit else {
      throw .input(what, path, "\(status.st_size) bytes are more than the \(limit) that are read")
    }
    guard let file = fopen(path, "rb") else { throw .input(what, path, reason(errno)) }
    defer { fclose(file) }
    let size = Int(status.st_size)
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = size == 0 ? 0 : fread(buffer.baseAddress, 1, size, file)
      failed = ferror(file) != 0
    }
    guard !failed else { throw .input(what, path, "it cannot be read") }
    guard !bytes.isEmpty else { throw .input(what, path, "it is empty") }
    return InputFile(name: path, bytes: bytes)
  }

  private static func reason(_ code: Int32) -> String {
    switch code {
    case ENOENT: "no such file"
    case EACCES, EPERM: "permission denied"
    case ENOTDIR: "a part of the path is not a folder"
    default: String(cString: strerror(code)).lowercased()
    }
  }
}
