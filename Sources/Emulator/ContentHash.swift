import Crypto

/// SHA-256 of bytes, as 64 lower-case hexadecimal digits: what tells in a result which file it came from.
func contentHash(_ bytes: [UInt8]) -> String {
  SHA256.hash(data: bytes).map { byte in
    (byte < 16 ? "0" : "") + String(byte, radix: 16)
  }.joined()
}
