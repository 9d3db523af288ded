/// Why a guest file cannot be booted: what was being read, where in it, and what is wrong, in one line.
///
/// The line is made of numbers and of Penumbra's own words only, never of bytes from the file, so that a hostile file
/// cannot write on the user's terminal.
public struct BootError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Where in a file or in guest memory something stands.
  public enum Place: Equatable, Sendable, CustomStringConvertible {
    /// Bytes from the start of the file.
    case offset(UInt64)
    /// The index of a table's entry, from 0.
    case number(Int)
    /// A guest-physical address, in bytes.
    case address(UInt64)

    public var description: String {
      switch self {
      case .offset(let offset): "at offset \(hexadecimal(offset))"
      case .number(let number): "\(number)"
      case .address(let address): "at address \(hexadecimal(address))"
      }
    }
  }

  /// The structure that is at fault: `ELF header`, `program header`, `command line`, ...
  public var what: String
  /// Where the structure stands, if it has a place.
  public var place: Place?
  /// What is wrong with it.
  public var why: String

  public init(_ what: String, _ place: Place?, _ why: String) {
    self.what = what
    self.place = place
    self.why = why
  }

  public var description: String {
    if let place { "\(what) \(place): \(why)" } else { "\(what): \(why)" }
  }
}

/// A number as error texts write it: `0x` and lower-case hexadecimal digits.
func hexadecimal(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }

/// The named part of a file that is being read, so that every error of the reading says which one it was.
struct Part {
  var what: String
  var place: BootError.Place?

  init(_ what: String, _ place: BootError.Place? = nil) {
    self.what = what
    self.place = place
  }

  func error(_ why: String) -> BootError { BootError(what, place, why) }
}
