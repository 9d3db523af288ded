import Decoding
import Machine

/// What the decoder makes of some bytes.
struct Decoded {
  var result: DecodeResult
  var operations: [Operation]

  /// Decodes exactly these bytes.
  init(_ bytes: [UInt8], _ size: CodeSize = .bits64, rip: UInt64 = 0x1000, vendor: Vendor = .intel) {
    let decoder = CapstoneDecoder(vendor: vendor)
    self.init(bytes, size, rip: rip, by: decoder)
  }

  init(_ bytes: [UInt8], _ size: CodeSize, rip: UInt64, by decoder: CapstoneDecoder) {
    var operations: [Operation] = []
    let result = withUnsafeTemporaryAllocation(of: Operation.self, capacity: CapstoneDecoder.maximumOperations) {
      output in
      let result = decoder.decode(bytes, count: bytes.count, rip: rip, size: size, into: output.baseAddress!)
      if case .decoded(_, let count) = result { operations = Array(output[..<count]) }
      return result
    }
    self.result = result
    self.operations = operations
  }

  /// The operation that does the work: the last one.
  var last: Operation { operations.last ?? Operation(.stale) }
  var handler: Handler { last.handler }
  /// The callout of the last operation, nil if it is none.
  var callout: Callout? {
    last.handler == .callout || last.handler == .calloutTerminal ? Callout(rawValue: last.n) : nil
  }
  var isTerminal: Bool { last.handler == .calloutTerminal }
  var form: OperandForm { OperandForm(rawValue: last.link) }
  var cost: CostClass? { CostClass(rawValue: UInt8(last.cycles)) }
  var length: Int? {
    if case .decoded(let length, _) = result { return length }
    return nil
  }
  /// The memory operand of the last operation.
  var place: Place { Place(last) }
}

/// A memory operand, to compare.
struct Place: Equatable {
  var base = Slot.zero
  var index = Slot.zero
  var scale: UInt8 = 0
  var disp: Int32 = 0

  init(base: UInt8 = Slot.zero, index: UInt8 = Slot.zero, scale: UInt8 = 0, disp: Int32 = 0) {
    self.base = base
    self.index = index
    self.scale = scale
    self.disp = disp
  }

  init(_ operation: Operation) {
    self.init(base: operation.base, index: operation.index, scale: operation.scale, disp: operation.disp)
  }
}
