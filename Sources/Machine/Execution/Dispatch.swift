/// The dispatch loop: one exhaustive switch over `Handler`, blocks linked to their successors.
///
/// What may be slow is behind a call; what remains is written such that every case ends in its own jump to the next
/// (Docs/Performance.md has what each shape cost).
extension Processor {
  /// Runs from the start of a block until something has to be decided outside: a deadline, a fault, an exit, a change
  /// of mode. The state is consistent then, `rip` is the next instruction, and `stop` says why.
  ///
  /// The first block is run without asking whether a deadline falls into it; the caller has.
  @inline(never)
  func execute(_ first: UnsafeMutablePointer<Block>) -> Leave {
    let s = self.s
    let r = Registers(s)
    let direct = self.direct
    var block = first
    var op = first.operations
    while true {
      switch op.pointee.handler {
      // Preparation and nothing
      case .address:
        guard prepareAddress(op) else { return fail(op, block) }
        op += 1
        continue
      case .nop:
        op += 1
        continue

      // Moves
      case .movRR64:
        r.set64(op.pointee.dst, r.get64(op.pointee.src))
        op += 1
        continue
      case .movRR32:
        r.set32(op.pointee.dst, r.get32(op.pointee.src))
        op += 1
        continue
      case .movRI:
        r.set64(op.pointee.dst, UInt64(bitPattern: op.pointee.imm))
        op += 1
        continue
      case .mergeRR8:
        r.merge8(op.pointee.dst, r.get8(op.pointee.src))
        op += 1
        continue
      case .mergeRR16:
        r.merge16(op.pointee.dst, r.get16(op.pointee.src))
        op += 1
        continue
      case .mergeRI8:
        r.merge8(op.pointee.dst, UInt8(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .mergeRI16:
        r.merge16(op.pointee.dst, UInt16(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .zeroRR8:
        r.set64(op.pointee.dst, UInt64(r.get8(op.pointee.src)))
        op += 1
        continue
      case .zeroRR16:
        r.set64(op.pointee.dst, UInt64(r.get16(op.pointee.src)))
        op += 1
        continue
      case .signRR8to32:
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: Int8(bitPattern: r.get8(op.pointee.src))))
        op += 1
        continue
      case .signRR8to64:
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int8(bitPattern: r.get8(op.pointee.src))))
        op += 1
        continue
      case .signRR16to32:
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: Int16(bitPattern: r.get16(op.pointee.src))))
        op += 1
        continue
      case .signRR16to64:
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int16(bitPattern: r.get16(op.pointee.src))))
        op += 1
        continue
      case .signRR32to64:
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int32(bitPattern: r.get32(op.pointee.src))))
        op += 1
        continue

      // Loads and stores
      case .load8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(value))
        op += 1
        continue
      case .load16:
        guard let value: UInt16 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(value))
        op += 1
        continue
      case .load32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(value))
        op += 1
        continue
      case .load64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(value))
        op += 1
        continue
      case .loadMerge8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.merge8(op.pointee.dst, value)
        op += 1
        continue
      case .loadMerge16:
        guard let value: UInt16 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.merge16(op.pointee.dst, value)
        op += 1
        continue
      case .loadSign8to32:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: Int8(bitPattern: value)))
        op += 1
        continue
      case .loadSign8to64:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int8(bitPattern: value)))
        op += 1
        continue
      case .loadSign16to32:
        guard let value: UInt16 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: Int16(bitPattern: value)))
        op += 1
        continue
      case .loadSign16to64:
        guard let value: UInt16 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int16(bitPattern: value)))
        op += 1
        continue
      case .loadSign32to64:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, UInt64(truncatingIfNeeded: Int32(bitPattern: value)))
        op += 1
        continue
      case .store8:
        guard store(op, direct, r.address(op), r.get8(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .store16:
        guard store(op, direct, r.address(op), r.get16(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .store32:
        guard store(op, direct, r.address(op), r.get32(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .store64:
        guard store(op, direct, r.address(op), r.get64(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .storeI8:
        guard store(op, direct, r.address(op), UInt8(truncatingIfNeeded: op.pointee.imm)) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .storeI16:
        guard store(op, direct, r.address(op), UInt16(truncatingIfNeeded: op.pointee.imm)) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .storeI32:
        guard store(op, direct, r.address(op), UInt32(truncatingIfNeeded: op.pointee.imm)) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .storeI64:
        guard store(op, direct, r.address(op), UInt64(truncatingIfNeeded: op.pointee.imm)) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .lea32:
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: r.address(op)))
        op += 1
        continue
      case .lea64:
        r.set64(op.pointee.dst, r.address(op))
        op += 1
        continue

      // ADD
      case .addRR32:
        r.set32(op.pointee.dst, s.add(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .addRI32:
        r.set32(op.pointee.dst, s.add(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .addRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.add(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .addMR32:
        guard update(op, direct, r.address(op), { s.add($0, r.get32(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .addMI32:
        guard update(op, direct, r.address(op), { s.add($0, UInt32(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .addRR32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &+ r.get32(op.pointee.src))
        op += 1
        continue
      case .addRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &+ UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .addRR64:
        r.set64(op.pointee.dst, s.add(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .addRI64:
        r.set64(op.pointee.dst, s.add(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .addRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.add(r.get64(op.pointee.dst), value))
        op += 1
        continue
      case .addMR64:
        guard update(op, direct, r.address(op), { s.add($0, r.get64(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .addMI64:
        guard update(op, direct, r.address(op), { s.add($0, UInt64(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .addRR64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &+ r.get64(op.pointee.src))
        op += 1
        continue
      case .addRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &+ UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // OR
      case .orRR32:
        r.set32(op.pointee.dst, s.or(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .orRI32:
        r.set32(op.pointee.dst, s.or(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .orRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.or(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .orMR32:
        guard update(op, direct, r.address(op), { s.or($0, r.get32(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .orMI32:
        guard update(op, direct, r.address(op), { s.or($0, UInt32(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .orRR32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) | r.get32(op.pointee.src))
        op += 1
        continue
      case .orRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) | UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .orRR64:
        r.set64(op.pointee.dst, s.or(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .orRI64:
        r.set64(op.pointee.dst, s.or(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .orRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.or(r.get64(op.pointee.dst), value))
        op += 1
        continue
      case .orMR64:
        guard update(op, direct, r.address(op), { s.or($0, r.get64(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .orMI64:
        guard update(op, direct, r.address(op), { s.or($0, UInt64(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .orRR64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) | r.get64(op.pointee.src))
        op += 1
        continue
      case .orRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) | UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // AND
      case .andRR32:
        r.set32(op.pointee.dst, s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .andRI32:
        r.set32(op.pointee.dst, s.and(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .andRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.and(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .andMR32:
        guard update(op, direct, r.address(op), { s.and($0, r.get32(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .andMI32:
        guard update(op, direct, r.address(op), { s.and($0, UInt32(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .andRR32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) & r.get32(op.pointee.src))
        op += 1
        continue
      case .andRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) & UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .andRR64:
        r.set64(op.pointee.dst, s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .andRI64:
        r.set64(op.pointee.dst, s.and(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .andRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.and(r.get64(op.pointee.dst), value))
        op += 1
        continue
      case .andMR64:
        guard update(op, direct, r.address(op), { s.and($0, r.get64(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .andMI64:
        guard update(op, direct, r.address(op), { s.and($0, UInt64(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .andRR64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) & r.get64(op.pointee.src))
        op += 1
        continue
      case .andRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) & UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // SUB
      case .subRR32:
        r.set32(op.pointee.dst, s.subtract(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .subRI32:
        r.set32(op.pointee.dst, s.subtract(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .subRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.subtract(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .subMR32:
        guard update(op, direct, r.address(op), { s.subtract($0, r.get32(op.pointee.src)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .subMI32:
        guard update(op, direct, r.address(op), { s.subtract($0, UInt32(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .subRR32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &- r.get32(op.pointee.src))
        op += 1
        continue
      case .subRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &- UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .subRR64:
        r.set64(op.pointee.dst, s.subtract(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .subRI64:
        r.set64(op.pointee.dst, s.subtract(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .subRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.subtract(r.get64(op.pointee.dst), value))
        op += 1
        continue
      case .subMR64:
        guard update(op, direct, r.address(op), { s.subtract($0, r.get64(op.pointee.src)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .subMI64:
        guard update(op, direct, r.address(op), { s.subtract($0, UInt64(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .subRR64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &- r.get64(op.pointee.src))
        op += 1
        continue
      case .subRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &- UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // XOR
      case .xorRR32:
        r.set32(op.pointee.dst, s.xor(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .xorRI32:
        r.set32(op.pointee.dst, s.xor(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .xorRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.xor(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .xorMR32:
        guard update(op, direct, r.address(op), { s.xor($0, r.get32(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .xorMI32:
        guard update(op, direct, r.address(op), { s.xor($0, UInt32(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .xorRR32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) ^ r.get32(op.pointee.src))
        op += 1
        continue
      case .xorRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) ^ UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .xorRR64:
        r.set64(op.pointee.dst, s.xor(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .xorRI64:
        r.set64(op.pointee.dst, s.xor(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .xorRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.xor(r.get64(op.pointee.dst), value))
        op += 1
        continue
      case .xorMR64:
        guard update(op, direct, r.address(op), { s.xor($0, r.get64(op.pointee.src)) }) else { return fail(op, block) }
        op += 1
        continue
      case .xorMI64:
        guard update(op, direct, r.address(op), { s.xor($0, UInt64(truncatingIfNeeded: op.pointee.imm)) }) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .xorRR64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) ^ r.get64(op.pointee.src))
        op += 1
        continue
      case .xorRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) ^ UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // CMP
      case .cmpRR8:
        _ = s.subtract(r.get8(op.pointee.dst), r.get8(op.pointee.src))
        op += 1
        continue
      case .cmpRI8:
        _ = s.subtract(r.get8(op.pointee.dst), UInt8(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .cmpRM8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(r.get8(op.pointee.dst), value)
        op += 1
        continue
      case .cmpMR8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, r.get8(op.pointee.src))
        op += 1
        continue
      case .cmpMI8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, UInt8(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .cmpRR32:
        _ = s.subtract(r.get32(op.pointee.dst), r.get32(op.pointee.src))
        op += 1
        continue
      case .cmpRI32:
        _ = s.subtract(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .cmpRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(r.get32(op.pointee.dst), value)
        op += 1
        continue
      case .cmpMR32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, r.get32(op.pointee.src))
        op += 1
        continue
      case .cmpMI32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .cmpRR64:
        _ = s.subtract(r.get64(op.pointee.dst), r.get64(op.pointee.src))
        op += 1
        continue
      case .cmpRI64:
        _ = s.subtract(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .cmpRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(r.get64(op.pointee.dst), value)
        op += 1
        continue
      case .cmpMR64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, r.get64(op.pointee.src))
        op += 1
        continue
      case .cmpMI64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.subtract(value, UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // TEST
      case .testRR8:
        _ = s.and(r.get8(op.pointee.dst), r.get8(op.pointee.src))
        op += 1
        continue
      case .testRI8:
        _ = s.and(r.get8(op.pointee.dst), UInt8(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .testMI8:
        guard let value: UInt8 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.and(value, UInt8(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .testRR32:
        _ = s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src))
        op += 1
        continue
      case .testRI32:
        _ = s.and(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .testMI32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.and(value, UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .testRR64:
        _ = s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src))
        op += 1
        continue
      case .testRI64:
        _ = s.and(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .testMI64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        _ = s.and(value, UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue

      // ADC, SBB, INC, DEC, NEG, NOT
      case .adcRR32:
        r.set32(op.pointee.dst, s.addCarry(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .adcRI32:
        r.set32(op.pointee.dst, s.addCarry(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .adcRR64:
        r.set64(op.pointee.dst, s.addCarry(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .adcRI64:
        r.set64(op.pointee.dst, s.addCarry(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .sbbRR32:
        r.set32(op.pointee.dst, s.subtractBorrow(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .sbbRI32:
        r.set32(op.pointee.dst, s.subtractBorrow(r.get32(op.pointee.dst), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .sbbRR64:
        r.set64(op.pointee.dst, s.subtractBorrow(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .sbbRI64:
        r.set64(op.pointee.dst, s.subtractBorrow(r.get64(op.pointee.dst), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .incR32:
        r.set32(op.pointee.dst, s.increment(r.get32(op.pointee.dst)))
        op += 1
        continue
      case .incR64:
        r.set64(op.pointee.dst, s.increment(r.get64(op.pointee.dst)))
        op += 1
        continue
      case .decR32:
        r.set32(op.pointee.dst, s.decrement(r.get32(op.pointee.dst)))
        op += 1
        continue
      case .decR64:
        r.set64(op.pointee.dst, s.decrement(r.get64(op.pointee.dst)))
        op += 1
        continue
      case .negR32:
        r.set32(op.pointee.dst, s.subtract(0, r.get32(op.pointee.dst)))
        op += 1
        continue
      case .negR64:
        r.set64(op.pointee.dst, s.subtract(0, r.get64(op.pointee.dst)))
        op += 1
        continue
      case .notR32:
        r.set32(op.pointee.dst, ~r.get32(op.pointee.dst))
        op += 1
        continue
      case .notR64:
        r.set64(op.pointee.dst, ~r.get64(op.pointee.dst))
        op += 1
        continue

      // Shifts, rotations, multiplication
      case .shlRI32:
        r.set32(op.pointee.dst, s.shiftLeft(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .shlRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(op.pointee.dst, s.shiftLeft(r.get32(op.pointee.dst), count))
        } else {
          r.set32(op.pointee.dst, r.get32(op.pointee.dst))
        }
        op += 1
        continue
      case .shlRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &<< UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .shlRI64:
        r.set64(op.pointee.dst, s.shiftLeft(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .shlRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(op.pointee.dst, s.shiftLeft(r.get64(op.pointee.dst), count))
        }
        op += 1
        continue
      case .shlRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &<< UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .shrRI32:
        r.set32(op.pointee.dst, s.shiftRight(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .shrRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(op.pointee.dst, s.shiftRight(r.get32(op.pointee.dst), count))
        } else {
          r.set32(op.pointee.dst, r.get32(op.pointee.dst))
        }
        op += 1
        continue
      case .shrRI32Quiet:
        r.set32(op.pointee.dst, r.get32(op.pointee.dst) &>> UInt32(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .shrRI64:
        r.set64(op.pointee.dst, s.shiftRight(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .shrRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(op.pointee.dst, s.shiftRight(r.get64(op.pointee.dst), count))
        }
        op += 1
        continue
      case .shrRI64Quiet:
        r.set64(op.pointee.dst, r.get64(op.pointee.dst) &>> UInt64(truncatingIfNeeded: op.pointee.imm))
        op += 1
        continue
      case .sarRI32:
        r.set32(op.pointee.dst, s.shiftArithmetic(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .sarRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(op.pointee.dst, s.shiftArithmetic(r.get32(op.pointee.dst), count))
        } else {
          r.set32(op.pointee.dst, r.get32(op.pointee.dst))
        }
        op += 1
        continue
      case .sarRI32Quiet:
        r.set32(
          op.pointee.dst,
          UInt32(bitPattern: Int32(bitPattern: r.get32(op.pointee.dst)) &>> Int32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .sarRI64:
        r.set64(op.pointee.dst, s.shiftArithmetic(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .sarRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(op.pointee.dst, s.shiftArithmetic(r.get64(op.pointee.dst), count))
        }
        op += 1
        continue
      case .sarRI64Quiet:
        r.set64(
          op.pointee.dst,
          UInt64(bitPattern: Int64(bitPattern: r.get64(op.pointee.dst)) &>> Int64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .rolRI32:
        r.set32(op.pointee.dst, s.rotateLeft(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .rolRI64:
        r.set64(op.pointee.dst, s.rotateLeft(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .rorRI32:
        r.set32(op.pointee.dst, s.rotateRight(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .rorRI64:
        r.set64(op.pointee.dst, s.rotateRight(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .rolRI32Quiet:
        r.set32(op.pointee.dst, s.rotated(r.get32(op.pointee.dst), left: UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .rolRI64Quiet:
        r.set64(op.pointee.dst, s.rotated(r.get64(op.pointee.dst), left: UInt64(bitPattern: op.pointee.imm)))
        op += 1
        continue
      case .imulRR32:
        r.set32(op.pointee.dst, s.multiply(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        op += 1
        continue
      case .imulRRI32:
        r.set32(op.pointee.dst, s.multiply(r.get32(op.pointee.src), UInt32(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .imulRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set32(op.pointee.dst, s.multiply(r.get32(op.pointee.dst), value))
        op += 1
        continue
      case .imulRR64:
        r.set64(op.pointee.dst, s.multiply(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        op += 1
        continue
      case .imulRRI64:
        r.set64(op.pointee.dst, s.multiply(r.get64(op.pointee.src), UInt64(truncatingIfNeeded: op.pointee.imm)))
        op += 1
        continue
      case .imulRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.set64(op.pointee.dst, s.multiply(r.get64(op.pointee.dst), value))
        op += 1
        continue

      // Conditions and bits
      case .setcc:
        r.merge8(op.pointee.dst, s.holds(op.pointee.n) ? 1 : 0)
        op += 1
        continue
      case .cmov32:
        r.set32(op.pointee.dst, s.holds(op.pointee.n) ? r.get32(op.pointee.src) : r.get32(op.pointee.dst))
        op += 1
        continue
      case .cmov64:
        if s.holds(op.pointee.n) { r.set64(op.pointee.dst, r.get64(op.pointee.src)) }
        op += 1
        continue
      case .btRI32:
        s.bitTest(r.get32(op.pointee.dst), UInt64(bitPattern: op.pointee.imm))
        op += 1
        continue
      case .btRR32:
        s.bitTest(r.get32(op.pointee.dst), UInt64(r.get32(op.pointee.src)))
        op += 1
        continue
      case .btRI64:
        s.bitTest(r.get64(op.pointee.dst), UInt64(bitPattern: op.pointee.imm))
        op += 1
        continue
      case .btRR64:
        s.bitTest(r.get64(op.pointee.dst), UInt64(r.get64(op.pointee.src)))
        op += 1
        continue

      // Stack. RSP changes only when the access has been made.
      case .push64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, r.get64(op.pointee.dst)) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        op += 1
        continue
      case .pushI64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, UInt64(bitPattern: op.pointee.imm)) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        op += 1
        continue
      case .pushM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, value) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        op += 1
        continue
      case .pop64:
        guard let value: UInt64 = load(op, direct, r.get64(Slot.rsp)) else { return fail(op, block) }
        r.set64(Slot.rsp, r.get64(Slot.rsp) &+ 8)
        r.set64(op.pointee.dst, value)
        op += 1
        continue
      case .leave64:
        guard let value: UInt64 = load(op, direct, r.get64(Slot.rbp)) else { return fail(op, block) }
        r.set64(Slot.rsp, r.get64(Slot.rbp) &+ 8)
        r.set64(Slot.rbp, value)
        op += 1
        continue

      // Branches. Taken and not taken go on apart: joined, they would become a select and a wait for its condition.
      case .jump:
        s.finish(block)
        guard let next = take(op, block) else { return leave }
        block = next
        op = next.operations
        continue
      case .fallThrough:
        s.finish(block)
        guard let next = fallThrough(op, block) else { return leave }
        block = next
        op = next.operations
        continue
      case .jcc:
        s.finish(block)
        if s.holds(op.pointee.n) {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubB:
        s.finish(block)
        if s.pointee.flags.a < s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubAe:
        s.finish(block)
        if s.pointee.flags.a >= s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubE:
        s.finish(block)
        if s.pointee.flags.a == s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubNe:
        s.finish(block)
        if s.pointee.flags.a != s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubBe:
        s.finish(block)
        if s.pointee.flags.a <= s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubA:
        s.finish(block)
        if s.pointee.flags.a > s.pointee.flags.b {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubL:
        s.finish(block)
        if s.signedA < s.signedB {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubGe:
        s.finish(block)
        if s.signedA >= s.signedB {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubLe:
        s.finish(block)
        if s.signedA <= s.signedB {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccSubG:
        s.finish(block)
        if s.signedA > s.signedB {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicE:
        s.finish(block)
        if s.pointee.flags.a == 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicNe:
        s.finish(block)
        if s.pointee.flags.a != 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicS:
        s.finish(block)
        if s.signedA < 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicNs:
        s.finish(block)
        if s.signedA >= 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicLe:
        s.finish(block)
        if s.signedA <= 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .jccLogicG:
        s.finish(block)
        if s.signedA > 0 {
          guard let next = take(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      // A comparison or TEST with the conditional jump that follows
      case .cmpRR32JccB:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a < b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR32JccAe:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a >= b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR32JccE:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a == b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR32JccNe:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a != b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR32JccL:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int32(bitPattern: a) < Int32(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR32JccGe:
        let a = r.get32(op.pointee.dst)
        let b = r.get32(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int32(bitPattern: a) >= Int32(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI32JccB:
        let a = r.get32(op.pointee.dst)
        let b = UInt32(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a < b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI32JccAe:
        let a = r.get32(op.pointee.dst)
        let b = UInt32(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a >= b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI32JccE:
        let a = r.get32(op.pointee.dst)
        let b = UInt32(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a == b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI32JccNe:
        let a = r.get32(op.pointee.dst)
        let b = UInt32(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a != b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI32JccL:
        let a = r.get32(op.pointee.dst)
        let b = UInt32(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int32(bitPattern: a) < Int32(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR32JccE:
        let result = Int32(bitPattern: s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        s.finish(block)
        if result == 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR32JccNe:
        let result = Int32(bitPattern: s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        s.finish(block)
        if result != 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR32JccS:
        let result = Int32(bitPattern: s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        s.finish(block)
        if result < 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR32JccNs:
        let result = Int32(bitPattern: s.and(r.get32(op.pointee.dst), r.get32(op.pointee.src)))
        s.finish(block)
        if result >= 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccB:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a < b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccAe:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a >= b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccE:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a == b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccNe:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if a != b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccL:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int64(bitPattern: a) < Int64(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccGe:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int64(bitPattern: a) >= Int64(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRR64JccG:
        let a = r.get64(op.pointee.dst)
        let b = r.get64(op.pointee.src)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int64(bitPattern: a) > Int64(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccB:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a < b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccAe:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a >= b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccE:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a == b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccNe:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if a != b {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccL:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int64(bitPattern: a) < Int64(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .cmpRI64JccG:
        let a = r.get64(op.pointee.dst)
        let b = UInt64(truncatingIfNeeded: op.pointee.imm)
        _ = s.subtract(a, b)
        s.finish(block)
        if Int64(bitPattern: a) > Int64(bitPattern: b) {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR64JccE:
        let result = Int64(bitPattern: s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        s.finish(block)
        if result == 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR64JccNe:
        let result = Int64(bitPattern: s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        s.finish(block)
        if result != 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR64JccS:
        let result = Int64(bitPattern: s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        s.finish(block)
        if result < 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }
      case .testRR64JccNs:
        let result = Int64(bitPattern: s.and(r.get64(op.pointee.dst), r.get64(op.pointee.src)))
        s.finish(block)
        if result >= 0 {
          guard let next = take(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        } else {
          guard let next = fallThrough(op + 1, block) else { return leave }
          block = next
          op = next.operations
          continue
        }

      case .call64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, UInt64(bitPattern: op[1].imm)) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        s.finish(block)
        guard let next = take(op, block) else { return leave }
        block = next
        op = next.operations
        continue
      case .ret64:
        guard let target: UInt64 = load(op, direct, r.get64(Slot.rsp)) else { return fail(op, block) }
        guard isCanonical(target) else { return refuse(op, block) }
        r.set64(Slot.rsp, r.get64(Slot.rsp) &+ 8)
        s.finish(block)
        guard let next = follow(block, to: target, from: nil) else { return leave }
        block = next
        op = next.operations
        continue
      case .jumpR64:
        let target = r.get64(op.pointee.dst)
        guard isCanonical(target) else { return refuse(op, block) }
        s.finish(block)
        guard let next = follow(block, to: target, from: nil) else { return leave }
        block = next
        op = next.operations
        continue
      case .jumpM64:
        guard let target: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard isCanonical(target) else { return refuse(op, block) }
        s.finish(block)
        guard let next = follow(block, to: target, from: nil) else { return leave }
        block = next
        op = next.operations
        continue
      case .callR64:
        let target = r.get64(op.pointee.dst)
        guard isCanonical(target) else { return refuse(op, block) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, UInt64(bitPattern: op[1].imm)) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        s.finish(block)
        guard let next = follow(block, to: target, from: nil) else { return leave }
        block = next
        op = next.operations
        continue
      case .callM64:
        guard let target: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard isCanonical(target) else { return refuse(op, block) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(op, direct, top, UInt64(bitPattern: op[1].imm)) else { return fail(op, block) }
        r.set64(Slot.rsp, top)
        s.finish(block)
        guard let next = follow(block, to: target, from: nil) else { return leave }
        block = next
        op = next.operations
        continue

      // Vectors
      case .vectorMoveRR:
        r.setVector(op.pointee.dst, r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorLoad:
        guard let value = loadVector(op, direct, r.address(op), aligned: false) else { return fail(op, block) }
        r.setVector(op.pointee.dst, value)
        op += 1
        continue
      case .vectorLoadAligned:
        guard let value = loadVector(op, direct, r.address(op), aligned: true) else { return fail(op, block) }
        r.setVector(op.pointee.dst, value)
        op += 1
        continue
      case .vectorStore:
        guard storeVector(op, direct, r.address(op), r.vector(op.pointee.src), aligned: false) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .vectorStoreAligned:
        guard storeVector(op, direct, r.address(op), r.vector(op.pointee.src), aligned: true) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .vectorLoadLow32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.setVector(op.pointee.dst, Vector128(UInt64(value), 0))
        op += 1
        continue
      case .vectorLoadLow64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        r.setVector(op.pointee.dst, Vector128(value, 0))
        op += 1
        continue
      case .vectorStoreLow32:
        guard store(op, direct, r.address(op), UInt32(truncatingIfNeeded: r.low(op.pointee.src))) else {
          return fail(op, block)
        }
        op += 1
        continue
      case .vectorStoreLow64:
        guard store(op, direct, r.address(op), r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .vectorMergeLow32:
        r.setLow(op.pointee.dst, r.low(op.pointee.dst) & ~0xffff_ffff | r.low(op.pointee.src) & 0xffff_ffff)
        op += 1
        continue
      case .vectorMergeLow64:
        r.setLow(op.pointee.dst, r.low(op.pointee.src))
        op += 1
        continue
      case .vectorMoveLow64:
        r.setVector(op.pointee.dst, Vector128(r.low(op.pointee.src), 0))
        op += 1
        continue
      case .vectorFromR32:
        r.setVector(op.pointee.dst, Vector128(UInt64(r.get32(op.pointee.src)), 0))
        op += 1
        continue
      case .vectorFromR64:
        r.setVector(op.pointee.dst, Vector128(r.get64(op.pointee.src), 0))
        op += 1
        continue
      case .vectorToR32:
        r.set32(op.pointee.dst, UInt32(truncatingIfNeeded: r.low(op.pointee.src)))
        op += 1
        continue
      case .vectorToR64:
        r.set64(op.pointee.dst, r.low(op.pointee.src))
        op += 1
        continue
      case .vectorAndRR:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst) & r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorAndNotRR:
        r.setVector(op.pointee.dst, ~r.vector(op.pointee.dst) & r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorOrRR:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst) | r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorXorRR:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst) ^ r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorAddRR64:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst) &+ r.vector(op.pointee.src))
        op += 1
        continue
      case .vectorAddRR32:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst).adding32(r.vector(op.pointee.src)))
        op += 1
        continue
      case .vectorSubtractRR8:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst).subtracting8(r.vector(op.pointee.src)))
        op += 1
        continue
      case .vectorEqualRR8:
        r.setVector(op.pointee.dst, r.vector(op.pointee.dst).equal8(r.vector(op.pointee.src)))
        op += 1
        continue
      case .vectorMaskRR8:
        r.set64(op.pointee.dst, signsOfBytes(r.vector(op.pointee.src)))
        op += 1
        continue
      case .vectorSelectRR32:
        r.setVector(op.pointee.dst, select(r.vector(op.pointee.src), by: op.pointee.imm))
        op += 1
        continue
      case .integerRR:
        r.setVector(op.pointee.dst, combineIntegers(op, r.vector(op.pointee.dst), r.vector(op.pointee.src)))
        op += 1
        continue
      case .integerRI:
        let count = Vector128(UInt64(truncatingIfNeeded: op.pointee.imm), 0)
        r.setVector(op.pointee.dst, combineIntegers(op, r.vector(op.pointee.dst), count))
        op += 1
        continue
      case .integerRM:
        guard let value = loadVector(op, direct, r.address(op), aligned: true) else { return fail(op, block) }
        r.setVector(op.pointee.dst, combineIntegers(op, r.vector(op.pointee.dst), value))
        op += 1
        continue
      case .shuffleRR:
        r.setVector(op.pointee.dst, shuffle(op, r.vector(op.pointee.dst), r.vector(op.pointee.src)))
        op += 1
        continue
      case .shuffleRM:
        guard let value = loadVector(op, direct, r.address(op), aligned: true) else { return fail(op, block) }
        r.setVector(op.pointee.dst, shuffle(op, r.vector(op.pointee.dst), value))
        op += 1
        continue
      case .doubleAddRR:
        guard addDoubles(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleAddRM:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard addDoubles(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .doubleSubtractRR:
        guard subtractDoubles(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleSubtractRM:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard subtractDoubles(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .doubleMultiplyRR:
        guard multiplyDoubles(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleMultiplyRM:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard multiplyDoubles(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .doubleDivideRR:
        guard divideDoubles(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleDivideRM:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard divideDoubles(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .doubleCompareRR:
        guard compareDoubles(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleCompareRM:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard compareDoubles(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .doubleFromR32:
        r.setDouble(op.pointee.dst, Int32(bitPattern: r.get32(op.pointee.src)))
        op += 1
        continue
      case .doubleFromR64:
        guard convertToDouble(op, r.get64(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .doubleToR32, .doubleToR64:
        guard convertFromDouble(op, r.low(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .floatRR:
        guard performFloat(op, r.vector(op.pointee.src)) else { return fail(op, block) }
        op += 1
        continue
      case .floatRM32:
        guard let value: UInt32 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard performFloat(op, Vector128(UInt64(value), 0)) else { return fail(op, block) }
        op += 1
        continue
      case .floatRM64:
        guard let value: UInt64 = load(op, direct, r.address(op)) else { return fail(op, block) }
        guard performFloat(op, Vector128(value, 0)) else { return fail(op, block) }
        op += 1
        continue
      case .floatRM128:
        guard let value = loadVector(op, direct, r.address(op), aligned: true) else { return fail(op, block) }
        guard performFloat(op, value) else { return fail(op, block) }
        op += 1
        continue
      case .vector:
        guard performVector(op) else { return fail(op, block) }
        op += 1
        continue

      // Everything rarer
      case .callout:
        guard callOut(op) else { return fail(op, block) }
        op += 1
        continue
      case .calloutTerminal:
        return callOutAndLeave(op, block)
      case .mark:
        return mark(op, block)
      case .invalidOpcode:
        stop = .exception(.invalidOpcode)
        return fail(op, block)
      case .tooLong:
        stop = .exception(.generalProtection(0))
        return fail(op, block)
      case .unsupported:
        stop = .unsupported("")
        return fail(op, block)
      case .stale, .tail:
        stop = .none
        return fail(op, block)
      }
    }
  }
}
