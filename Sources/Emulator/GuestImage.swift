import Guests

/// A guest to boot: a file, or one of those built in.
public struct GuestImage: Equatable, Sendable {
  /// How the user named it.
  public var name: String
  public var bytes: [UInt8]
  /// SHA-256 of the bytes, 64 lower-case hexadecimal digits.
  public var sha256: String

  public init(name: String, bytes: [UInt8]) {
    self.name = name
    self.bytes = bytes
    sha256 = contentHash(bytes)
  }

  /// Finds a guest by the name of a built-in one, or reads it from a file. `./NAME` is always a file.
  /// - Throws: `SetupError` of kind `input` for what is neither, or a file that cannot be used.
  public static func find(_ nameOrPath: String) throws(SetupError) -> GuestImage {
    if let guest = BuiltInGuest.named(nameOrPath) { return GuestImage(guest) }
    do {
      let file = try InputFile.read(nameOrPath, what: "guest")
      return GuestImage(name: file.name, bytes: file.bytes)
    } catch let error {
      // A bare word is more likely a misspelt name than a file.
      guard !nameOrPath.isEmpty, !nameOrPath.contains(where: { $0 == "/" || $0 == "." }),
        error.description.hasSuffix("no such file")
      else { throw error }
      throw .input(
        "guest", nameOrPath,
        "neither a file nor a built-in guest (\(BuiltInGuest.all.map(\.name).joined(separator: ", ")))")
    }
  }

  /// A built-in guest.
  public init(_ guest: BuiltInGuest) { self.init(name: guest.name, bytes: guest.image) }
}
