import Emulator
import Glibc
import Machine
import Zlib

/// Writes a file of vectors, one a line, packed by gzip.
public final class VectorWriter {
  private let path: String
  private let file: UnsafeMutablePointer<FILE>
  private var stream = z_stream()
  private var text: [UInt8] = Array("[\n".utf8)
  private var isFirst = true
  private static let stretch = 1 << 18

  /// - Throws: `SetupError` of kind `input` for a file that cannot be written.
  public init(_ path: String) throws(SetupError) {
    self.path = path
    guard let file = fopen(path, "wb") else {
      throw .input("vectors", path, String(cString: strerror(errno)).lowercased())
    }
    self.file = file
    let size = Int32(MemoryLayout<z_stream>.size)
    guard deflateInit2_(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size) == Z_OK else {
      throw SetupError(.defect, "zlib cannot be used")
    }
  }

  deinit {
    deflateEnd(&stream)
    fclose(file)
  }

  /// Appends a vector.
  public func write(_ vector: borrowing InstructionVector) throws(SetupError) {
    if !isFirst { text += ",\n".utf8 }
    isFirst = false
    VectorWriter.append(vector, to: &text)
    if text.count > VectorWriter.stretch { try pack(Z_NO_FLUSH) }
  }

  /// Ends the file. Nothing can be written after it.
  public func finish() throws(SetupError) {
    text += "\n]\n".utf8
    try pack(Z_FINISH)
    guard fflush(file) == 0 else { throw failure }
  }

  private var failure: SetupError { .input("vectors", path, String(cString: strerror(errno)).lowercased()) }

  private func pack(_ mode: Int32) throws(SetupError) {
    let capacity = VectorWriter.stretch
    let output = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
    defer { output.deallocate() }
    let isWritten = text.withUnsafeMutableBufferPointer { input in
      stream.next_in = input.baseAddress
      stream.avail_in = UInt32(input.count)
      repeat {
        stream.next_out = output
        stream.avail_out = UInt32(capacity)
        deflate(&stream, mode)
        let count = capacity - Int(stream.avail_out)
        guard fwrite(output, 1, count, file) == count else { return false }
      } while stream.avail_out == 0
      return true
    }
    guard isWritten else { throw failure }
    text.removeAll(keepingCapacity: true)
  }

  // MARK: JSON

  /// A vector as one object of JSON.
  static func append(_ vector: borrowing InstructionVector, to text: inout [UInt8]) {
    text += "{\"name\":\"".utf8
    // What would have to be escaped is nothing that the name of an instruction has.
    text += vector.name.utf8.map { $0 < 0x20 || $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "\\") ? 0x3f : $0 }
    text += "\",\"bytes\":\"".utf8
    for byte in vector.bytes { appendHex(UInt64(byte), digits: 2, to: &text) }
    text += "\"".utf8
    if let vendor = vector.vendor { text += ",\"vendor\":\"\(vendor.rawValue)\"".utf8 }
    text += ",\"flags_mask\":\"".utf8
    appendHex(vector.flagsMask, digits: 1, to: &text)
    text += "\",\"initial\":{".utf8
    append(vector.initial, to: &text)
    text += "},\"final\":{".utf8
    if let exception = vector.exception {
      text += "\"exception\":\(exception.vector),\"error\":\(exception.error.map { String($0) } ?? "null"),".utf8
    }
    append(vector.final, to: &text)
    text += "}}".utf8
  }

  private static func append(_ state: PartialState, to text: inout [UInt8]) {
    text += "\"regs\":{".utf8
    var separator = ""
    for register in VectorRegister.all {
      guard let value = state.registers[register] else { continue }
      text += "\(separator)\"\(register.name)\":\"".utf8
      appendHex(value, digits: 1, to: &text)
      text += "\"".utf8
      separator = ","
    }
    for number in 0..<16 {
      guard let value = state.registers[xmm: number] else { continue }
      let upper = state.registers[upper: number]
      text += "\(separator)\"\(upper == nil ? "xmm" : "ymm")\(number)\":\"".utf8
      for half in [upper, value] {
        guard let half else { continue }
        appendHex(half.y, digits: 16, to: &text)
        appendHex(half.x, digits: 16, to: &text)
      }
      text += "\"".utf8
      separator = ","
    }
    for number in 0..<8 {
      guard let value = state.registers[real: number] else { continue }
      let isMMX = value.head == .max
      text += "\(separator)\"\(isMMX ? "mm" : "fpr")\(number)\":\"".utf8
      if !isMMX { appendHex(UInt64(value.head), digits: 4, to: &text) }
      appendHex(value.significand, digits: 16, to: &text)
      text += "\"".utf8
      separator = ","
    }
    text += "},\"ram\":[".utf8
    for (index, byte) in state.memory.enumerated() {
      text += "\(index == 0 ? "" : ",")[\(byte.address),\(byte.value)]".utf8
    }
    text += "]".utf8
  }

  private static func appendHex(_ value: UInt64, digits: Int, to text: inout [UInt8]) {
    let hex = String(value, radix: 16)
    for _ in 0..<max(digits - hex.utf8.count, 0) { text.append(UInt8(ascii: "0")) }
    text += hex.utf8
  }
}
