import OpenSSL

/// SHA-256 of bytes that come piece by piece.
final class RunningHash {
  private let context = EVP_MD_CTX_new()

  init() { EVP_DigestInit_ex(context, EVP_sha256(), nil) }

  deinit { EVP_MD_CTX_free(context) }

  func add(_ bytes: some Sequence<UInt8>) {
    let whole: Void? = bytes.withContiguousStorageIfAvailable { EVP_DigestUpdate(context, $0.baseAddress, $0.count) }
    if whole == nil {
      let copy = Array(bytes)
      EVP_DigestUpdate(context, copy, copy.count)
    }
  }

  /// The hash of what came so far, as 64 lower-case hexadecimal digits.
  var text: String {
    let end = EVP_MD_CTX_new()
    defer { EVP_MD_CTX_free(end) }
    var digest = [UInt8](repeating: 0, count: 32)
    EVP_MD_CTX_copy_ex(end, context)
    EVP_DigestFinal_ex(end, &digest, nil)
    return digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
  }

  /// The hash of bytes that are all there.
  static func text(_ bytes: some Sequence<UInt8>) -> String {
    let hash = RunningHash()
    hash.add(bytes)
    return hash.text
  }
}
