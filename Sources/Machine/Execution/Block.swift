/// A stretch of decoded code that is entered at its start only: at most one page, ended by a branch, by something that
/// may change the mode, or by length. Its operations follow it in memory.
struct Block {
  /// Where it starts, as the code segment's offset (the linear address in 64-bit mode), and the host page that holds
  /// it.
  var rip: UInt64
  var key: BlockKey
  /// Where the bytes of an instruction that crosses into a second page are; such a block is alone and never linked to.
  /// `.max`: none.
  var secondPage: UInt64
  /// Sums over the block.
  var cycles: UInt64
  var instructions: UInt64
  var accesses: UInt64
  /// Operations, with the tail.
  var length: Int
  /// Bytes of code on the first page.
  var byteCount: Int
  /// Chains of the hash bucket, of the frame, and of the second page's frame.
  var nextInBucket: UnsafeMutablePointer<Block>?
  var nextInFrame: UnsafeMutablePointer<Block>?
  var nextInSecondFrame: UnsafeMutablePointer<Block>?
  var isDropped: Bool
}

/// What must agree for a block to be used: the host page, the code size, whether vector instructions need not ask, and
/// whether it is one of a single instruction.
struct BlockKey: Equatable {
  let rawValue: UInt64

  @inline(__always) init(page: UInt64, size: CodeSize, vectors: VectorMode, single: Bool) {
    rawValue = page & ~0xfff | UInt64(size.rawValue) | (single ? 4 : 0) | UInt64(vectors.rawValue) << 3
  }

  var page: UInt64 { rawValue & ~0xfff }
}

extension UnsafeMutablePointer<Block> {
  /// The first operation.
  @inline(__always) var operations: UnsafeMutablePointer<Operation> {
    UnsafeMutableRawPointer(self + 1).assumingMemoryBound(to: Operation.self)
  }
}

extension Operation {
  /// Bytes of the instruction, and its accesses to memory that hot handlers make, which the builder packs above them.
  @inline(__always) var instructionLength: UInt64 { UInt64(length & 0xf) }
  @inline(__always) var accessCount: UInt64 { UInt64(length >> 4) }

  /// Whether it is the last operation of an instruction.
  @inline(__always) var endsInstruction: Bool { length & 0xf != 0 }
}
