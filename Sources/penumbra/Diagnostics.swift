import ArgumentParser
import Emulator
import Foundation
import Reports

/// What Penumbra itself says, and how it ends.
enum Diagnostics {
  /// Writes to standard error.
  static func say(_ text: String) { writeAll(text, to: STDERR_FILENO) }

  /// Writes a table to standard output.
  static func show(_ text: String) { writeAll(text, to: STDOUT_FILENO) }

  /// Tells why nothing happens: a guest waits for a pipe that stays silent.
  static func sayThatInputIsAwaited(_ progress: ProgressLine) {
    progress.clear()
    say("penumbra: the guest waits for standard input, which stays silent; `< /dev/null` gives it none\n")
  }

  /// Does a verb's work; an error of the set-up is told in one line and becomes its exit status.
  static func report(_ work: () throws -> Void) throws {
    do {
      try work()
    } catch let error as SetupError {
      say("penumbra: \(error.description)\n")
      throw ExitCode(error.exitStatus)
    }
  }

  /// Tells wrong usage in one line, as every other error, where the parser would add a page of help.
  ///
  /// - Returns: how to end; nil if the error is of another kind.
  static func usageProblem(_ error: any Error) -> ExitCode? {
    guard !(error is ExitCode), Penumbra.exitCode(for: error) == .validationFailure else { return nil }
    let message = Penumbra.message(for: error).split(whereSeparator: \.isNewline).joined(separator: " ")
    let usage = Penumbra.fullMessage(for: error).split(whereSeparator: \.isNewline)
      .first { $0.hasPrefix("Usage: ") }.map { "; usage: " + $0.dropFirst("Usage: ".count) }
    say("penumbra: \(message.prefix(1).lowercased())\(message.dropFirst())\(usage ?? "")\n")
    return .validationFailure
  }

  /// Colour for a stream only if it is a terminal that can show it and the user has not asked for none (no-color.org).
  static func style(_ stream: Int32) -> TextStyle {
    let environment = ProcessInfo.processInfo.environment
    let isRefused = environment["NO_COLOR"].map { !$0.isEmpty } ?? false || environment["TERM"] == "dumb"
    return TextStyle(coloured: isatty(stream) == 1 && !isRefused)
  }

  /// Writes all of a text; what cannot be written (a closed pipe) is dropped.
  private static func writeAll(_ text: String, to stream: Int32) { _ = writeBytes(Array(text.utf8), to: stream) }

  /// Writes all bytes; false if the stream does not take them.
  static func writeBytes(_ bytes: [UInt8], to stream: Int32) -> Bool {
    bytes.withUnsafeBytes { buffer in
      var rest = buffer[...]
      while !rest.isEmpty {
        let count = write(stream, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
        guard count > 0 else { return false }
        rest = rest.dropFirst(count)
      }
      return true
    }
  }
}

/// Where the statistics go.
struct StatisticsFile {
  /// `-` is standard error.
  private let path: String

  /// Nil where none was asked for. Whether the file can be written is looked at now, so that a long run is not lost to
  /// a wrong name.
  /// - Throws: `SetupError` of kind `input` for a file that cannot be written.
  init?(_ path: String?) throws(SetupError) {
    guard let path else { return nil }
    self.path = path
    guard path != "-" else { return }
    guard !path.isEmpty else { throw SetupError(.input, "statistics: the file name is empty") }
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    guard access(path, W_OK) == 0 || (errno == ENOENT && access(folder, W_OK) == 0) else { throw Self.failure(path) }
    var status = stat()
    guard stat(path, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR else {
      throw .input("statistics", path, "it is a folder")
    }
  }

  func write(_ text: String) throws(SetupError) {
    guard path != "-" else { return Diagnostics.say(text) }
    guard let file = fopen(path, "wb") else { throw Self.failure(path) }
    let bytes = Array(text.utf8)
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else { throw Self.failure(path) }
  }

  private static func failure(_ path: String) -> SetupError {
    .input("statistics", path, String(cString: strerror(errno)).lowercased())
  }
}
