/// Why the dispatch loop was left.
enum Leave {
  /// A deadline lies before the end of the next block, or `stale` was met: look again at `rip`.
  case due
  /// An instruction that ends its block has been completed.
  case completed
  /// `Processor.stop` says why.
  case stopped
}

/// The register file as the dispatch loop uses it: the slots are the first thing in the state.
struct Registers {
  private let slots: UnsafeMutablePointer<UInt64>

  @inline(__always) var state: UnsafeMutablePointer<ProcessorState> {
    UnsafeMutableRawPointer(slots).assumingMemoryBound(to: ProcessorState.self)
  }

  @inline(__always) init(_ s: UnsafeMutablePointer<ProcessorState>) {
    slots = UnsafeMutableRawPointer(s).assumingMemoryBound(to: UInt64.self)
  }

  @inline(__always) func get64(_ slot: UInt8) -> UInt64 { slots[Int(slot)] }
  @inline(__always) func get32(_ slot: UInt8) -> UInt32 { UInt32(truncatingIfNeeded: slots[Int(slot)]) }
  @inline(__always) func get16(_ slot: UInt8) -> UInt16 { UInt16(truncatingIfNeeded: slots[Int(slot)]) }
  @inline(__always) func get8(_ slot: UInt8) -> UInt8 { UInt8(truncatingIfNeeded: slots[Int(slot)]) }
  @inline(__always) func set64(_ slot: UInt8, _ value: UInt64) { slots[Int(slot)] = value }
  /// A 32-bit result clears the upper half.
  @inline(__always) func set32(_ slot: UInt8, _ value: UInt32) { slots[Int(slot)] = UInt64(value) }
  @inline(__always) func merge16(_ slot: UInt8, _ value: UInt16) {
    slots[Int(slot)] = slots[Int(slot)] & ~0xffff | UInt64(value)
  }
  @inline(__always) func merge8(_ slot: UInt8, _ value: UInt8) {
    slots[Int(slot)] = slots[Int(slot)] & ~0xff | UInt64(value)
  }

  /// The address of an operation's memory operand.
  @inline(__always) func address(_ op: UnsafeMutablePointer<Operation>) -> UInt64 {
    slots[Int(op.pointee.base)] &+ (slots[Int(op.pointee.index)] &<< UInt64(op.pointee.scale))
      &+ UInt64(bitPattern: Int64(op.pointee.disp))
  }
}

/// The operand widths of the dispatch loop.
protocol OperandWidth: FixedWidthInteger, UnsignedInteger {
  /// log2 of the width in bytes.
  static var scale: UInt8 { get }
  /// Sign-extended to 64 bits, as `LazyFlags` wants it.
  var extended: UInt64 { get }
}

extension UInt8: OperandWidth {
  @inline(__always) static var scale: UInt8 { 0 }
  @inline(__always) var extended: UInt64 { UInt64(bitPattern: Int64(Int8(bitPattern: self))) }
}
extension UInt16: OperandWidth {
  @inline(__always) static var scale: UInt8 { 1 }
  @inline(__always) var extended: UInt64 { UInt64(bitPattern: Int64(Int16(bitPattern: self))) }
}
extension UInt32: OperandWidth {
  @inline(__always) static var scale: UInt8 { 2 }
  @inline(__always) var extended: UInt64 { UInt64(bitPattern: Int64(Int32(bitPattern: self))) }
}
extension UInt64: OperandWidth {
  @inline(__always) static var scale: UInt8 { 3 }
  @inline(__always) var extended: UInt64 { self }
}
