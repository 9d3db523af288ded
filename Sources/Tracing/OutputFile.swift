import Emulator
import Foundation

/// Files that are written whole or not at all.
enum OutputFile {
  /// Writes a file; folders on its way are made.
  /// - Parameter what: the kind of file, for the error.
  /// - Throws: `SetupError` of kind `input` where it cannot be written.
  static func write(_ bytes: [UInt8], to path: String, what: String) throws(SetupError) {
    let file = URL(fileURLWithPath: path)
    do {
      try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(bytes).write(to: file, options: .atomic)
    } catch {
      let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
      let code = underlying.flatMap { $0.domain == NSPOSIXErrorDomain ? Int32($0.code) : nil }
      throw .input(what, path, code.map { String(cString: strerror($0)).lowercased() } ?? "it cannot be written")
    }
  }
}
