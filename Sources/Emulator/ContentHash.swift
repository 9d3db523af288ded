import OpenSSL

/// SHA-256 of bytes, as 64 lower-case hexadecimal digits: what tells in a result which file it came from.
func contentHash(_ bytes: [UInt8]) -> String {
  var digest = [UInt8](repeating: 0, count: Int(SHA256_DIGEST_LENGTH))
  SHA256(bytes, bytes.count, &digest)
  return digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}
