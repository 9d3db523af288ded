/// Why a run cannot start: one line that says what, where and why, and the exit status that goes with it.
///
/// Texts that come from outside (file names, values) pass through `printable`, so that no error is longer than a line
/// and none can write control sequences on the user's terminal.
public struct SetupError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Whose mistake it is.
  public enum Kind: Sendable {
    /// The command line is wrong.
    case usage
    /// A file or another input is missing or unusable.
    case input
    /// A defect of Penumbra's own.
    case defect
  }

  public let kind: Kind
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  /// A wrong command line.
  public static func usage(_ why: String) -> SetupError { SetupError(.usage, why) }

  /// An input that is missing or unusable.
  /// - Parameters:
  ///   - what: the kind of input: `profile`, `guest`, `configuration`.
  ///   - place: its name, and the line where that is known.
  public static func input(_ what: String, _ place: String, _ why: String) -> SetupError {
    SetupError(.input, "\(what) \(printable(place)): \(why)")
  }

  /// The process's exit status: 64, 66 or 70.
  public var exitStatus: Int32 {
    switch kind {
    case .usage: 64
    case .input: 66
    case .defect: 70
    }
  }
}

/// A text from outside as an error may show it: one line, no control characters, no more characters than the limit.
public func printable(_ text: String, limit: Int? = 80) -> String {
  var shown = ""
  var length = 0
  for scalar in text.unicodeScalars {
    guard length < limit ?? .max else { return shown + "..." }
    if isUnprintable(scalar) {
      shown += "\\u{" + String(scalar.value, radix: 16) + "}"
    } else {
      shown.unicodeScalars.append(scalar)
    }
    length += 1
  }
  return shown
}

/// Whether a terminal would do something else with a character than show it in its line.
func isUnprintable(_ scalar: Unicode.Scalar) -> Bool {
  switch scalar.properties.generalCategory {
  case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
  default: false
  }
}
