/// Decoded code by host-physical page, offset and mode.
///
/// A block whose bytes change is not removed: all its operations become `stale`, so that whoever runs it or links to it
/// leaves at the next instruction and looks the code up anew. Memory of such blocks is had back when everything is
/// dropped.
///
/// Safety: blocks lie in chunks that only `dropAll` frees, and that is called from outside the dispatch loop only.
final class BlockCache {
  private let memory: HostMemory
  private let decoder: any InstructionDecoder
  private let costs: HotCosts
  private let features: FeatureSet
  let greatestLength: Int
  private let traits: UnsafeMutablePointer<HandlerTraits>

  private static let buckets = 1 << 14
  private static let chunkBytes = 1 << 20
  private static let greatestChunks = 32
  private let heads: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
  /// Blocks by guest frame of their first page; frames without code have none.
  private var frames: [UInt64: UnsafeMutablePointer<Block>] = [:]
  /// Blocks whose one instruction goes on in a second page, by the frame of that.
  private var secondFrames: [UInt64: UnsafeMutablePointer<Block>] = [:]
  private var chunks: [UnsafeMutableRawPointer] = []
  private var used = BlockCache.chunkBytes
  private let scratch: UnsafeMutablePointer<Operation>
  private static let scratchCapacity = 64 * 4 + 8
  /// Bytes (SDM vol. 2, 2.3.11).
  private static let longestInstruction = 15

  /// The last block found for an address, by a few of its bits.
  private static let jumpEntries = 1 << 12
  private let jumps: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>

  /// The greatest `cycles` of any block: how far the clock can run before the loop looks at it again.
  private(set) var greatestCycles: UInt64 = 0
  /// Linear addresses of instructions before which a debugger wants the loop left: a block ends before one, and one that
  /// begins there holds nothing, unless it is of a single instruction.
  var pauses: [UInt64] = []
  /// Links of chains that were followed to drop blocks: what changes of code cost.
  private(set) var visited: UInt64 = 0

  init(
    memory: HostMemory, decoder: any InstructionDecoder, costs: HotCosts, features: FeatureSet, greatestLength: Int
  ) {
    self.memory = memory
    self.decoder = decoder
    self.costs = costs
    self.features = features
    self.greatestLength = max(1, min(greatestLength, 64))
    traits = .allocate(capacity: HandlerTraits.table.count)
    traits.initialize(from: HandlerTraits.table, count: HandlerTraits.table.count)
    heads = .allocate(capacity: BlockCache.buckets)
    heads.initialize(repeating: nil, count: BlockCache.buckets)
    jumps = .allocate(capacity: BlockCache.jumpEntries)
    jumps.initialize(repeating: nil, count: BlockCache.jumpEntries)
    scratch = .allocate(capacity: BlockCache.scratchCapacity)
    scratch.initialize(repeating: Operation(.stale), count: BlockCache.scratchCapacity)
  }

  deinit {
    for chunk in chunks { chunk.deallocate() }
    traits.deallocate()
    heads.deallocate()
    jumps.deallocate()
    scratch.deallocate()
  }

  // MARK: Looking up

  @inline(__always) private func bucket(_ rip: UInt64, _ key: BlockKey) -> Int {
    let mixed = (rip ^ key.rawValue &>> 7) &* 0x9e37_79b9_7f4a_7c15
    return Int(mixed >> 50) & (BlockCache.buckets - 1)
  }

  /// The block at an address, if it has been decoded.
  @inline(__always) func find(_ rip: UInt64, _ key: BlockKey) -> UnsafeMutablePointer<Block>? {
    let slot = Int((rip ^ rip >> 12) & UInt64(BlockCache.jumpEntries - 1))
    if let last = jumps[slot], last.pointee.rip == rip, last.pointee.key == key, !last.pointee.isDropped {
      return last
    }
    var next = heads[bucket(rip, key)]
    while let block = next {
      if block.pointee.rip == rip && block.pointee.key == key {
        jumps[slot] = block
        return block
      }
      next = block.pointee.nextInBucket
    }
    return nil
  }

  // MARK: Building

  /// Decodes a block.
  ///
  /// - Parameters:
  ///   - page: host address of the page that holds the first byte.
  ///   - linear: the linear address of the first byte.
  ///   - secondPage: asked for the host address of the next linear page, when the first instruction goes on there; its
  ///     failure is passed on.
  func build(
    rip: UInt64, linear: UInt64, page: UInt64, size: CodeSize, vectors: VectorMode, single: Bool,
    secondPage: () throws(Stopped) -> UInt64
  ) throws(Stopped) -> UnsafeMutablePointer<Block> {
    let key = BlockKey(page: page, size: size, vectors: vectors, single: single)
    let limit = single ? 1 : greatestLength
    let start = linear & 0xfff
    var offset = start
    var operations = 0
    var instructions = 0
    var crossing = UInt64.max
    var ended = false
    // How far the decoder looked.
    var end = start
    // EIP has 32 bits in 16-bit code too: what lies behind offset 0xffff is for the limit to refuse.
    let mask: UInt64 = size == .bits64 ? .max : 0xffff_ffff

    while instructions < limit && !ended && offset < 4096 {
      let at = scratch + operations
      if !single && !pauses.isEmpty && pauses.contains(linear &+ (offset &- start)) {
        if instructions == 0 {
          at.pointee = Operation(.stale, cost: .free)
          operations += 1
        }
        break
      }
      let here = (rip &+ (offset &- start)) & mask
      var length = 0
      var result = decode(page, offset, here, size, into: at)
      if result == .truncated {
        guard instructions == 0 else { break }
        crossing = try secondPage()
        result = decodeAcross(page, offset, crossing, here, size, into: at)
      }
      switch result {
      case .decoded(let bytes, let count):
        length = bytes
        operations += count
        if size != .bits64 && count > 1 { describeAccess(scratch + operations - 2, of: scratch[operations - 1]) }
        scratch[operations - 1].trustVector(vectors, features)
        if count > 1 { letWait(scratch + operations - 2, for: scratch[operations - 1]) }
      case .truncated, .invalid, .tooLong:
        // Any of the bytes may make it another instruction when it changes.
        at.pointee = Operation(result == .tooLong ? .tooLong : .invalidOpcode, length: 1)
        length = 1
        operations += 1
        end = offset + UInt64(BlockCache.longestInstruction)
      case .unsupported(_, let bytes):
        at.pointee = Operation(.unsupported, length: UInt8(truncatingIfNeeded: bytes))
        length = bytes
        operations += 1
      }
      for index in 0..<(scratch + operations - at) { at[index].indexInBlock = UInt8(instructions) }
      instructions += 1
      offset += UInt64(length)
      end = max(end, offset)
      ended = traits[Int(scratch[operations - 1].handler.rawValue)].endsBlock
    }
    let next = (rip &+ (offset &- start)) & mask
    if !ended {
      scratch[operations] = Operation(.fallThrough, imm: Int64(bitPattern: next), cost: .free)
      operations += 1
    }
    scratch[operations] = Operation(.tail, imm: Int64(bitPattern: next), cost: .free)
    operations += 1

    refine(operations)
    let block = try place(
      rip: rip, key: key, operations: operations, instructions: instructions,
      byteCount: Int(min(offset, 4096) - start), crossing: crossing)
    markLines(page, from: start, count: Int(min(end, 4096) - start))
    if crossing != .max && end > 4096 { markLines(crossing, from: 0, count: Int(end - 4096)) }
    return block
  }

  private func decode(
    _ page: UInt64, _ offset: UInt64, _ rip: UInt64, _ size: CodeSize, into: UnsafeMutablePointer<Operation>
  ) -> DecodeResult {
    guard memory.contains(HostPhysical(page)) else { return .invalid }
    let bytes = (memory.base + Int(page + offset)).assumingMemoryBound(to: UInt8.self)
    let count = min(BlockCache.longestInstruction, Int(4096 - offset))
    return decoder.decode(bytes, count: count, rip: rip, size: size, into: into)
  }

  private func decodeAcross(
    _ page: UInt64, _ offset: UInt64, _ second: UInt64, _ rip: UInt64, _ size: CodeSize,
    into: UnsafeMutablePointer<Operation>
  ) -> DecodeResult {
    guard memory.contains(HostPhysical(page)), memory.contains(HostPhysical(second)) else { return .invalid }
    let here = Int(4096 - offset)
    let count = BlockCache.longestInstruction
    return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: count) { bytes in
      for index in 0..<count {
        let at = index < here ? page + offset + UInt64(index) : second + UInt64(index - here)
        bytes[index] = (memory.base + Int(at)).load(as: UInt8.self)
      }
      return decoder.decode(bytes.baseAddress!, count: count, rip: rip, size: size, into: into)
    }
  }

  /// Turns cost classes into cycles, drops dead flags, and chooses conditional jumps by what makes their flags.
  private func refine(_ count: Int) {
    var producer = HandlerTraits.FlagProducer.other
    for index in 0..<count {
      let op = scratch + index
      let t = traits[Int(op.pointee.handler.rawValue)]
      // What only prepares an instruction, or ends a block, is none: however the code is cut, it costs the same.
      op.pointee.cycles = op.pointee.endsInstruction ? costs.base(op.pointee.cycles) : 0
      op.pointee.length = op.pointee.length & 0xf | t.accesses << 4
      if op.pointee.handler == .jcc, let condition = Condition(rawValue: op.pointee.n),
        let special = HandlerTraits.specialised(condition, after: producer)
      {
        op.pointee.handler = special
      }
      switch t.producer {
      case .none: break
      case let made: producer = made
      }
    }
    // The jump keeps its operation, which holds the target and the links.
    if count >= 3, let both = HandlerTraits.fused(scratch[count - 3].handler, scratch[count - 2].handler) {
      scratch[count - 3].handler = both
    }
    var live = true
    for index in stride(from: count - 2, through: 0, by: -1) {
      let op = scratch + index
      let t = traits[Int(op.pointee.handler.rawValue)]
      if !live, makeQuiet(op, t) { continue }
      if t.writesAllFlags { live = false }
      if t.readsFlags || t.mayStop || t.endsBlock { live = true }
    }
  }

  /// Tells an `address` operation what the instruction behind it does there, so that a segment's limit and type can be
  /// checked: the bytes in `dst`, whether it writes in `src`.
  private func describeAccess(_ address: UnsafeMutablePointer<Operation>, of user: Operation) {
    guard address.pointee.handler == .address else { return }
    let t = traits[Int(user.handler.rawValue)]
    var access = (width: t.width, writes: t.writesMemory)
    if user.handler == .callout || user.handler == .calloutTerminal, let callout = Callout(rawValue: user.n) {
      access = callout.memoryAccess(OperandForm(rawValue: user.link))
    }
    address.pointee.dst = access.width
    address.pointee.src = access.writes ? AddressFlags.writes : 0
  }

  /// What a segment forbids waits for the access of an instruction that may have a reason of its own not to begin.
  private func letWait(_ address: UnsafeMutablePointer<Operation>, for user: Operation) {
    guard address.pointee.handler == .address, user.handler == .callout || user.handler == .calloutTerminal else {
      return
    }
    address.pointee.src |= AddressFlags.waits
  }

  /// Replaces an operation whose flags nobody reads by one that does not make them.
  private func makeQuiet(_ op: UnsafeMutablePointer<Operation>, _ traits: HandlerTraits) -> Bool {
    func become(_ handler: Handler, _ imm: Int64) -> Bool {
      op.pointee.handler = handler
      op.pointee.imm = imm
      return true
    }
    switch op.pointee.handler {
    case .incR32: return become(.addRI32Quiet, 1)
    case .incR64: return become(.addRI64Quiet, 1)
    case .decR32: return become(.addRI32Quiet, -1)
    case .decR64: return become(.addRI64Quiet, -1)
    case .rorRI32: return become(.rolRI32Quiet, (32 &- op.pointee.imm) & 31)
    case .rorRI64: return become(.rolRI64Quiet, (64 &- op.pointee.imm) & 63)
    default:
      guard let quiet = traits.quiet else { return false }
      op.pointee.handler = quiet
      return true
    }
  }

  private func place(
    rip: UInt64, key: BlockKey, operations: Int, instructions: Int, byteCount: Int, crossing: UInt64
  ) throws(Stopped) -> UnsafeMutablePointer<Block> {
    let size = MemoryLayout<Block>.stride + operations * MemoryLayout<Operation>.stride
    if used + size > BlockCache.chunkBytes {
      chunks.append(.allocate(byteCount: BlockCache.chunkBytes, alignment: 64))
      used = 0
    }
    let block = (chunks[chunks.count - 1] + used).bindMemory(to: Block.self, capacity: 1)
    used += (size + 63) & ~63
    var cycles: UInt64 = 0
    var accesses: UInt64 = 0
    for index in 0..<operations {
      cycles += UInt64(scratch[index].cycles)
      accesses += scratch[index].accessCount
    }
    greatestCycles = max(greatestCycles, cycles)
    let hash = bucket(rip, key)
    block.initialize(
      to: Block(
        rip: rip, key: key, secondPage: crossing, cycles: cycles, instructions: UInt64(instructions),
        accesses: accesses, length: operations, byteCount: byteCount, nextInBucket: heads[hash],
        nextInFrame: frames[key.page >> 12], nextInSecondFrame: nil, isDropped: false))
    block.operations.initialize(from: scratch, count: operations)
    heads[hash] = block
    frames[key.page >> 12] = block
    if crossing != .max {
      block.pointee.nextInSecondFrame = secondFrames[crossing >> 12]
      secondFrames[crossing >> 12] = block
    }
    return block
  }

  // MARK: Changed code

  private func markLines(_ page: UInt64, from start: UInt64, count: Int) {
    guard memory.contains(HostPhysical(page)), count > 0 else { return }
    memory.markCode(BlockCache.lines(Int(start), count), ofPageAt: page)
  }

  /// The 64-byte lines that a stretch of a page touches, as bits.
  private static func lines(_ start: Int, _ count: Int) -> UInt64 {
    let first = start >> 6
    let last = min(start + max(count, 1) - 1, 4095) >> 6
    let upTo = last == 63 ? UInt64.max : (1 << UInt64(last + 1)) - 1
    return upTo & ~((1 << UInt64(first)) - 1)
  }

  /// Whether a store touches lines that hold code; a store to other bytes of the page is nobody's business.
  @inline(__always) func holdsCode(_ host: HostPhysical, width: Int) -> Bool {
    let lines = memory.codeLines[Int(host.frame)]
    return lines != 0 && lines & BlockCache.lines(Int(host.pageOffset), width) != 0
  }

  /// Whether there is a block of a frame.
  func holdsBlocks(ofFrame frame: UInt64) -> Bool { frames[frame] != nil || secondFrames[frame] != nil }

  /// Makes every block of a frame stale. Other processors' blocks and the frame's code lines are `HostMemory`'s.
  func dropFrame(_ frame: UInt64) {
    var next = frames.removeValue(forKey: frame)
    while let block = next {
      visited &+= 1
      poison(block)
      next = block.pointee.nextInFrame
    }
    // Blocks that begin on another page and end on this one.
    next = secondFrames.removeValue(forKey: frame)
    while let block = next {
      visited &+= 1
      poison(block)
      next = block.pointee.nextInSecondFrame
    }
  }

  /// Makes a block stale and unfindable. It stays in the chains of its frames until those are dropped.
  private func poison(_ block: UnsafeMutablePointer<Block>) {
    guard !block.pointee.isDropped else { return }
    block.pointee.isDropped = true
    for index in 0..<block.pointee.length - 1 { block.operations[index].handler = .stale }
    let hash = bucket(block.pointee.rip, block.pointee.key)
    guard let head = heads[hash] else { return }
    if head == block {
      heads[hash] = block.pointee.nextInBucket
      return
    }
    var before = head
    while let next = before.pointee.nextInBucket {
      visited &+= 1
      if next == block {
        before.pointee.nextInBucket = block.pointee.nextInBucket
        return
      }
      before = next
    }
  }

  /// Whether so much has been decoded that it is time to begin anew.
  var isFull: Bool { chunks.count >= BlockCache.greatestChunks }

  /// Forgets everything. Not while the dispatch loop is running.
  func dropAll() {
    let forgotten = Array(frames.keys) + Array(secondFrames.keys)
    frames = [:]
    secondFrames = [:]
    for frame in forgotten { memory.codeWasForgotten(ofFrame: frame) }
    for chunk in chunks { chunk.deallocate() }
    chunks = []
    used = BlockCache.chunkBytes
    heads.update(repeating: nil, count: BlockCache.buckets)
    jumps.update(repeating: nil, count: BlockCache.jumpEntries)
  }

  /// How long an instruction is; nil where the bytes are none. Not while the dispatch loop is running.
  func length(of bytes: [UInt8], rip: UInt64, size: CodeSize) -> Int? {
    let result = bytes.withUnsafeBufferPointer {
      $0.baseAddress.map { decoder.decode($0, count: bytes.count, rip: rip, size: size, into: scratch) }
    }
    switch result {
    case .decoded(let length, _), .unsupported(_, let length): return length
    case .truncated, .invalid, .tooLong, nil: return nil
    }
  }

  /// What stands at an address, in words.
  func disassemble(_ bytes: [UInt8], rip: UInt64, size: CodeSize) -> String? {
    bytes.withUnsafeBufferPointer {
      $0.baseAddress.flatMap { decoder.disassemble($0, count: bytes.count, rip: rip, size: size) }
    }
  }
}
