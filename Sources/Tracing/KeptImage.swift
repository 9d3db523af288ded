import Emulator

/// A guest's image kept beside the records that rest on it, so that another compiler does not break them:
/// `images/NAME-HASH.image.gz`, with the first twelve digits of the image's SHA-256.
public enum KeptImage {
  /// More than any guest that is kept has.
  private static let greatestSize = 64 << 20

  /// Where the image of a guest lies, seen from the records' folder.
  public static func path(_ guest: String, sha256: String) -> String { "images/\(guest)-\(sha256.prefix(12)).image.gz" }

  /// Keeps an image.
  /// - Parameter folder: the records' folder.
  public static func write(_ image: GuestImage, to folder: String) throws(SetupError) {
    guard let packed = Compression.gzip.pack(image.bytes) else {
      throw SetupError(.defect, "the image of \(printable(image.name)) cannot be packed")
    }
    try OutputFile.write(packed, to: "\(folder)/\(path(image.name, sha256: image.sha256))", what: "image")
  }

  /// The image that a trace rests on.
  /// - Throws: `SetupError` of kind `input` if it is missing or is another one.
  public static func read(for trace: Trace, from folder: String) throws(SetupError) -> GuestImage {
    let guest = trace.statistics.guest
    let place = "\(folder)/\(path(guest.name, sha256: guest.sha256))"
    let file = try InputFile.read(place, what: "image", limit: greatestSize)
    guard let bytes = Compression.gzip.unpack(file.bytes, limit: greatestSize) else {
      throw .input("image", place, "damaged: it cannot be unpacked")
    }
    let image = GuestImage(name: guest.name, bytes: bytes)
    guard image.sha256 == guest.sha256 else { throw .input("image", place, "damaged: it does not match its SHA-256") }
    return image
  }
}
