/// Leaving a block, and finding the next.
extension Processor {
  /// The block at the target of a direct branch; nil where the loop has to be left, `leave` saying why.
  @inline(__always)
  func take(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>)
    -> UnsafeMutablePointer<Block>?
  {
    if op.pointee.link != 0 { return linked(op.pointee.link) }
    return follow(block, to: UInt64(bitPattern: op.pointee.imm), from: op)
  }

  /// The block behind this one.
  @inline(__always)
  func fallThrough(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>)
    -> UnsafeMutablePointer<Block>?
  {
    let tail = op + 1
    if tail.pointee.link != 0 { return linked(tail.pointee.link) }
    return follow(block, to: UInt64(bitPattern: tail.pointee.imm), from: tail)
  }

  /// A linked block, unless a deadline may fall into it.
  @inline(__always)
  private func linked(_ link: UInt64) -> UnsafeMutablePointer<Block>? {
    let next = UnsafeMutablePointer<Block>(bitPattern: UInt(link)).unsafelyUnwrapped
    if isDue(next) { return due(next) }
    return next
  }

  @inline(__always)
  private func isDue(_ next: UnsafeMutablePointer<Block>) -> Bool {
    s.pointee.executed &+ next.pointee.cycles >= s.pointee.executedDeadline
      || s.pointee.retired &+ next.pointee.instructions > s.pointee.retiredDeadline
  }

  @inline(never)
  private func due(_ next: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<Block>? {
    s.pointee.rip = next.pointee.rip
    leave = .due
    return nil
  }

  /// Finds the block at an address, and links the branch to it where nothing can come between: same linear page, same
  /// frame. A relative branch beyond the code segment's limit faults; it is never linked.
  @inline(never)
  func follow(
    _ current: UnsafeMutablePointer<Block>, to rip: UInt64, from branch: UnsafeMutablePointer<Operation>?
  ) -> UnsafeMutablePointer<Block>? {
    s.pointee.rip = rip
    // An interrupt comes before whatever fetching the next instruction may bring. At its segment's end code goes one by
    // one.
    if s.pointee.executed >= s.pointee.executedDeadline || s.pointee.retired >= s.pointee.retiredDeadline
      || isNearLimit(rip)
    {
      if let branch, branch.pointee.handler != .tail, codeSize != .bits64, rip > UInt64(s.pointee[.cs].limit) {
        takeBack(branch)
      } else {
        leave = .due
      }
      return nil
    }
    do {
      let next = try block(at: rip, single: false)
      if let branch, next.pointee.key == current.pointee.key, next.pointee.secondPage == .max,
        (rip ^ current.pointee.rip) & ~0xfff == 0, !current.pointee.isDropped
      {
        branch.pointee.link = UInt64(UInt(bitPattern: next))
      }
      return isDue(next) ? due(next) : next
    } catch {
      leave = .stopped
      return nil
    }
  }

  /// The block at an address, decoded if need be.
  ///
  /// - Throws: the fault of the instruction fetch.
  func block(at rip: UInt64, single: Bool) throws(Stopped) -> UnsafeMutablePointer<Block> {
    let size = codeSize
    let linear = size == .bits64 ? rip : (rip &+ s.pointee[.cs].base) & 0xffff_ffff
    let nearLimit = isNearLimit(rip)
    if nearLimit && rip > UInt64(s.pointee[.cs].limit) { throw raise(.generalProtection(0)) }
    if linear >> 12 != fetchPage {
      guard size != .bits64 || isCanonical(linear) else { throw raise(.generalProtection(0)) }
      stamp = s.pointee.retired &+ 1
      let host = try translateFetch(linear)
      fetchPage = linear >> 12
      fetchFrame = host.rawValue & ~0xfff
      fetchSecondPage = .max
    }
    let frame = fetchFrame
    let next = try block(at: rip, linear, frame, single: single)
    if nearLimit || size != .bits64 && next.pointee.secondPage != .max { try checkLimit(of: next) }
    return next
  }

  private func block(
    at rip: UInt64, _ linear: UInt64, _ frame: UInt64, single: Bool
  ) throws(Stopped) -> UnsafeMutablePointer<Block> {
    if let known = blocks.find(rip, BlockKey(page: frame, size: codeSize, vectors: vectorMode, single: single)) {
      if known.pointee.secondPage == .max { return known }
      // The instruction's other page may have been mapped elsewhere since.
      if try secondPage(of: linear) == known.pointee.secondPage { return known }
      memory.dropCode(ofFrame: frame >> 12)
    }
    return try blocks.build(
      rip: rip, linear: linear, page: frame, size: codeSize, vectors: vectorMode, single: single
    ) { () throws(Stopped) -> UInt64 in try secondPage(of: linear) }
  }

  /// Whether the code segment ends within the page of an instruction. Blocks know no limit: code of such a page is
  /// executed one by one.
  @inline(__always) func isNearLimit(_ rip: UInt64) -> Bool {
    guard codeSize != .bits64 else { return false }
    let code = s.pointee.segments[Int(SegmentRegister.cs.rawValue)]
    guard code.limit != .max else { return false }
    return rip &+ (0xfff &- (rip &+ code.base) & 0xfff) > UInt64(code.limit)
  }

  /// Raises #GP(0) for an instruction, alone in its block, that reaches beyond the code segment's limit (SDM vol. 3,
  /// 5.3).
  private func checkLimit(of block: UnsafeMutablePointer<Block>) throws(Stopped) {
    var length: UInt64 = 1
    for index in 0..<block.pointee.length where block.operations[index].endsInstruction {
      length = block.operations[index].instructionLength
      break
    }
    let last = block.pointee.rip &+ length &- 1
    guard last <= UInt64(s.pointee[.cs].limit) else { throw raise(.generalProtection(0)) }
  }

  /// The frame of the page after an address, which an instruction crosses into. It is looked up once, however often the
  /// block is asked for before the instruction is executed.
  private func secondPage(of linear: UInt64) throws(Stopped) -> UInt64 {
    let next = (linear & ~0xfff) &+ 4096
    if next >> 12 == fetchSecondPage { return fetchSecondFrame }
    guard codeSize != .bits64 || isCanonical(next) else { throw raise(.generalProtection(0)) }
    // Where the segment ends before that page, it is not looked at.
    if codeSize != .bits64 {
      let code = s.pointee[.cs]
      guard (next &- code.base) & 0xffff_ffff <= UInt64(code.limit) else { throw raise(.generalProtection(0)) }
    }
    let host = try translateFetch(next)
    fetchSecondPage = next >> 12
    fetchSecondFrame = host.rawValue & ~0xfff
    return fetchSecondFrame
  }

  // MARK: Leaving

  /// Leaves before a branch that its block has been accounted with: #GP(0), its target is not in the code segment (SDM
  /// vol. 2, JMP and Jcc).
  private func takeBack(_ branch: UnsafeMutablePointer<Operation>) {
    s.pointee.executed &-= UInt64(branch.pointee.cycles)
    s.pointee.retired &-= 1
    s.pointee.rip = (UInt64(bitPattern: branch[1].imm) &- branch.pointee.instructionLength) & 0xffff_ffff
    stop = .exception(.generalProtection(0))
    leave = .stopped
  }

  /// Leaves before an instruction: it has had no effect. What `stop` says decides what comes next.
  @inline(never)
  func fail(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>) -> Leave {
    settle(op, block)
    if case .none = stop { return .due }
    return .stopped
  }

  /// Leaves with #GP(0): the target of a near branch is not canonical. AMD's processors see first whether a call can
  /// push; Intel's look at the target first (SDM vol. 2, CALL).
  @inline(never)
  func refuse(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>) -> Leave {
    stop = .exception(.generalProtection(0))
    let isCall = op.pointee.handler == .callR64 || op.pointee.handler == .callM64
    if isCall && profile.vendor == .amd {
      stamp = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
      currentOperation = op
      // What fails leaves its reason in `stop`.
      try? probePush(width: 8, on: currentStack())
    }
    return fail(op, block)
  }

  /// Accounts for the instructions of a block before an operation, and makes `rip` the operation's.
  private func settle(_ stopped: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>) {
    var op = block.operations
    var rip = block.pointee.rip
    // A stopped instruction may have prepared an address already; that costs nothing and has no length.
    while op < stopped {
      if op.pointee.endsInstruction {
        s.pointee.retired &+= 1
        rip &+= op.pointee.instructionLength
      }
      s.pointee.executed &+= UInt64(op.pointee.cycles)
      s.pointee.accesses &+= op.pointee.accessCount
      op += 1
    }
    s.pointee.rip = codeSize == .bits64 ? rip : rip & 0xffff_ffff
  }

  // MARK: Callouts

  /// Performs a callout in the middle of a block.
  @inline(never)
  func callOut(_ op: UnsafeMutablePointer<Operation>) -> Bool {
    stamp = s.pointee.retired &+ UInt64(op.pointee.indexInBlock) &+ 1
    currentOperation = op
    guard let callout = Callout(rawValue: op.pointee.n) else { return false }
    do {
      try perform(callout, op)
      leaveIfDue()
      return true
    } catch {
      return false
    }
  }

  /// Performs a callout that ends its block.
  @inline(never)
  func callOutAndLeave(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>) -> Leave {
    s.finish(block)
    s.pointee.rip = UInt64(bitPattern: op[1].imm)
    stamp = s.pointee.retired
    currentOperation = nil
    guard let callout = Callout(rawValue: op.pointee.n) else { return .stopped }
    do {
      try perform(callout, op)
      return .completed
    } catch {
      s.pointee.executed &-= UInt64(op.pointee.cycles)
      s.pointee.retired &-= 1
      let rip = UInt64(bitPattern: op[1].imm) &- op.pointee.instructionLength
      s.pointee.rip = codeSize == .bits64 ? rip : rip & 0xffff_ffff
      return .stopped
    }
  }

  /// Begins a region of the statistics.
  @inline(never)
  func mark(_ op: UnsafeMutablePointer<Operation>, _ block: UnsafeMutablePointer<Block>) -> Leave {
    s.finish(block)
    s.pointee.rip = UInt64(bitPattern: op[1].imm)
    let id = op.pointee.n
    regions.begin(Int(id), ledger: ledger, retired: s.pointee.retired)
    observer?.marked(id, at: clock, retired: s.pointee.retired)
    return .completed
  }

  /// The `address` operation: segmentation and address size where they are not trivial.
  ///
  /// What a segment forbids waits for the access where the instruction may have a reason of its own not to begin, which
  /// comes first (SDM vol. 3, table 6-2: #UD and #NM; or its privilege): the address is then one that is canonical in no
  /// mode, and the access raises what the segment would.
  @inline(never)
  func prepareAddress(_ op: UnsafeMutablePointer<Operation>) -> Bool {
    let offset = effectiveAddress(op) & UInt64(bitPattern: op.pointee.imm)
    guard op.pointee.n < 6, let segment = SegmentRegister(rawValue: op.pointee.n) else {
      s.pointee.slots[Int(Slot.address)] = offset
      return true
    }
    if op.pointee.dst == 0 && codeSize != .bits64 {
      s.pointee.slots[Int(Slot.address)] = (offset &+ s.pointee[segment].base) & 0xffff_ffff
      return true
    }
    do {
      s.pointee.slots[Int(Slot.address)] = try linear(
        segment, offset, width: Int(op.pointee.dst), write: op.pointee.src & AddressFlags.writes != 0)
      return true
    } catch {
      guard op.pointee.src & AddressFlags.waits != 0 else { return false }
      stop = .none
      s.pointee.slots[Int(Slot.address)] = 1 << 63
      return true
    }
  }

  /// The linear address of an offset in a segment, its limit and type checked where the mode has them (SDM vol. 3,
  /// 5.3).
  func linear(_ register: SegmentRegister, _ offset: UInt64, width: Int, write: Bool) throws(Stopped) -> UInt64 {
    let segment = s.pointee[register]
    if codeSize == .bits64 {
      return register == .fs || register == .gs ? segment.base &+ offset : offset
    }
    let fault: GuestException = register == .ss ? .stack(0) : .generalProtection(0)
    guard segment.isPresent, s.pointee.cr0 & CR0.protectionEnable == 0 || segment.isCodeOrData else {
      throw raise(fault)
    }
    // Code may be written in real mode, where segments have no type.
    if write && !segment.isWritable && isProtected { throw raise(fault) }
    // What can be executed only cannot be read, except that 64-bit code has no such thing.
    if !write && !segment.isReadable && isProtected { throw raise(fault) }
    let last = offset &+ UInt64(max(width, 1)) &- 1
    if segment.expandsDown {
      let top: UInt64 = segment.isBig ? 0xffff_ffff : 0xffff
      guard offset > UInt64(segment.limit), last <= top else { throw raise(fault) }
    } else {
      guard last <= UInt64(segment.limit) else { throw raise(fault) }
    }
    return (segment.base &+ offset) & 0xffff_ffff
  }

  /// The linear address of what lies `distance` bytes behind the memory operand of a callout, limit and type of its
  /// segment checked for these bytes alone.
  func linear(
    behind op: UnsafePointer<Operation>, _ form: OperandForm, by distance: UInt64, mask: UInt64 = .max, width: Int,
    write: Bool = false
  ) throws(Stopped) -> UInt64 {
    let segment = form.segment ?? .ds
    let isBased = codeSize != .bits64 || segment == .fs || segment == .gs
    let offset = effectiveAddress(op) &- (isBased ? s.pointee[segment].base : 0) &+ distance
    // Outside 64-bit code an operand's address has no more than 32 bits.
    let limit = codeSize == .bits64 ? mask : mask & 0xffff_ffff
    return try linear(segment, offset & limit, width: width, write: write)
  }
}

/// What `src` of an `address` operation says of the instruction behind it.
enum AddressFlags {
  static let writes: UInt8 = 1
  /// A fault of the segment waits for the access.
  static let waits: UInt8 = 2
}
