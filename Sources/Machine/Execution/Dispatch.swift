/// The dispatch loop: one exhaustive switch over `Handler`, blocks linked to their successors.
///
/// What may be slow is behind a call; what remains is written such that every case ends in its own jump to the next (Docs/Performance.md has
/// what each shape cost).
extension Processor {
  /// Runs from the start of a block until something has to be decided outside: a deadline, a fault, an exit, a change of mode.
  /// The state is consistent then, `rip` is the next instruction, and `stop` says why.
  ///
  /// The first block is run without asking whether a deadline falls into it; the caller has.
  @inline(never)
  func execute(_ first: UnsafeMutablePointer<Block>) -> Leave {
    let s = self.s
    let r = Registers(s)
    let direct = self.direct
    var at = Cursor(op: first.operations, block: first)
    while true {
      switch at.op.pointee.handler {
      // Preparation and nothing
      case .address:
        guard prepareAddress(at.op) else { return fail(at) }
        at.op += 1
        continue
      case .nop:
        at.op += 1
        continue

      // Moves
      case .movRR64:
        r.set64(at.dst, r.get64(at.src))
        at.op += 1
        continue
      case .movRR32:
        r.set32(at.dst, r.get32(at.src))
        at.op += 1
        continue
      case .movRI:
        r.set64(at.dst, UInt64(bitPattern: at.imm))
        at.op += 1
        continue
      case .mergeRR8:
        r.merge8(at.dst, r.get8(at.src))
        at.op += 1
        continue
      case .mergeRR16:
        r.merge16(at.dst, r.get16(at.src))
        at.op += 1
        continue
      case .mergeRI8:
        r.merge8(at.dst, UInt8(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .mergeRI16:
        r.merge16(at.dst, UInt16(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .zeroRR8:
        r.set64(at.dst, UInt64(r.get8(at.src)))
        at.op += 1
        continue
      case .zeroRR16:
        r.set64(at.dst, UInt64(r.get16(at.src)))
        at.op += 1
        continue
      case .signRR8to32:
        r.set32(at.dst, UInt32(truncatingIfNeeded: Int8(bitPattern: r.get8(at.src))))
        at.op += 1
        continue
      case .signRR8to64:
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int8(bitPattern: r.get8(at.src))))
        at.op += 1
        continue
      case .signRR16to32:
        r.set32(at.dst, UInt32(truncatingIfNeeded: Int16(bitPattern: r.get16(at.src))))
        at.op += 1
        continue
      case .signRR16to64:
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int16(bitPattern: r.get16(at.src))))
        at.op += 1
        continue
      case .signRR32to64:
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int32(bitPattern: r.get32(at.src))))
        at.op += 1
        continue

      // Loads and stores
      case .load8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(value))
        at.op += 1
        continue
      case .load16:
        guard let value: UInt16 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(value))
        at.op += 1
        continue
      case .load32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(value))
        at.op += 1
        continue
      case .load64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(value))
        at.op += 1
        continue
      case .loadMerge8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.merge8(at.dst, value)
        at.op += 1
        continue
      case .loadMerge16:
        guard let value: UInt16 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.merge16(at.dst, value)
        at.op += 1
        continue
      case .loadSign8to32:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, UInt32(truncatingIfNeeded: Int8(bitPattern: value)))
        at.op += 1
        continue
      case .loadSign8to64:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int8(bitPattern: value)))
        at.op += 1
        continue
      case .loadSign16to32:
        guard let value: UInt16 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, UInt32(truncatingIfNeeded: Int16(bitPattern: value)))
        at.op += 1
        continue
      case .loadSign16to64:
        guard let value: UInt16 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int16(bitPattern: value)))
        at.op += 1
        continue
      case .loadSign32to64:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, UInt64(truncatingIfNeeded: Int32(bitPattern: value)))
        at.op += 1
        continue
      case .store8:
        guard store(at, direct, r.address(at.op), r.get8(at.src)) else { return fail(at) }
        at.op += 1
        continue
      case .store16:
        guard store(at, direct, r.address(at.op), r.get16(at.src)) else { return fail(at) }
        at.op += 1
        continue
      case .store32:
        guard store(at, direct, r.address(at.op), r.get32(at.src)) else { return fail(at) }
        at.op += 1
        continue
      case .store64:
        guard store(at, direct, r.address(at.op), r.get64(at.src)) else { return fail(at) }
        at.op += 1
        continue
      case .storeI8:
        guard store(at, direct, r.address(at.op), UInt8(truncatingIfNeeded: at.imm)) else { return fail(at) }
        at.op += 1
        continue
      case .storeI16:
        guard store(at, direct, r.address(at.op), UInt16(truncatingIfNeeded: at.imm)) else { return fail(at) }
        at.op += 1
        continue
      case .storeI32:
        guard store(at, direct, r.address(at.op), UInt32(truncatingIfNeeded: at.imm)) else { return fail(at) }
        at.op += 1
        continue
      case .storeI64:
        guard store(at, direct, r.address(at.op), UInt64(truncatingIfNeeded: at.imm)) else { return fail(at) }
        at.op += 1
        continue
      case .lea32:
        r.set32(at.dst, UInt32(truncatingIfNeeded: r.address(at.op)))
        at.op += 1
        continue
      case .lea64:
        r.set64(at.dst, r.address(at.op))
        at.op += 1
        continue

      // ADD
      case .addRR32:
        r.set32(at.dst, s.add(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .addRI32:
        r.set32(at.dst, s.add(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .addRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.add(r.get32(at.dst), value))
        at.op += 1
        continue
      case .addMR32:
        guard update(at, direct, r.address(at.op), { s.add($0, r.get32(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .addMI32:
        guard update(at, direct, r.address(at.op), { s.add($0, UInt32(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .addRR32Quiet:
        r.set32(at.dst, r.get32(at.dst) &+ r.get32(at.src))
        at.op += 1
        continue
      case .addRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) &+ UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .addRR64:
        r.set64(at.dst, s.add(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .addRI64:
        r.set64(at.dst, s.add(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .addRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.add(r.get64(at.dst), value))
        at.op += 1
        continue
      case .addMR64:
        guard update(at, direct, r.address(at.op), { s.add($0, r.get64(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .addMI64:
        guard update(at, direct, r.address(at.op), { s.add($0, UInt64(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .addRR64Quiet:
        r.set64(at.dst, r.get64(at.dst) &+ r.get64(at.src))
        at.op += 1
        continue
      case .addRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) &+ UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // OR
      case .orRR32:
        r.set32(at.dst, s.or(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .orRI32:
        r.set32(at.dst, s.or(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .orRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.or(r.get32(at.dst), value))
        at.op += 1
        continue
      case .orMR32:
        guard update(at, direct, r.address(at.op), { s.or($0, r.get32(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .orMI32:
        guard update(at, direct, r.address(at.op), { s.or($0, UInt32(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .orRR32Quiet:
        r.set32(at.dst, r.get32(at.dst) | r.get32(at.src))
        at.op += 1
        continue
      case .orRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) | UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .orRR64:
        r.set64(at.dst, s.or(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .orRI64:
        r.set64(at.dst, s.or(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .orRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.or(r.get64(at.dst), value))
        at.op += 1
        continue
      case .orMR64:
        guard update(at, direct, r.address(at.op), { s.or($0, r.get64(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .orMI64:
        guard update(at, direct, r.address(at.op), { s.or($0, UInt64(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .orRR64Quiet:
        r.set64(at.dst, r.get64(at.dst) | r.get64(at.src))
        at.op += 1
        continue
      case .orRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) | UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // AND
      case .andRR32:
        r.set32(at.dst, s.and(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .andRI32:
        r.set32(at.dst, s.and(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .andRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.and(r.get32(at.dst), value))
        at.op += 1
        continue
      case .andMR32:
        guard update(at, direct, r.address(at.op), { s.and($0, r.get32(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .andMI32:
        guard update(at, direct, r.address(at.op), { s.and($0, UInt32(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .andRR32Quiet:
        r.set32(at.dst, r.get32(at.dst) & r.get32(at.src))
        at.op += 1
        continue
      case .andRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) & UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .andRR64:
        r.set64(at.dst, s.and(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .andRI64:
        r.set64(at.dst, s.and(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .andRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.and(r.get64(at.dst), value))
        at.op += 1
        continue
      case .andMR64:
        guard update(at, direct, r.address(at.op), { s.and($0, r.get64(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .andMI64:
        guard update(at, direct, r.address(at.op), { s.and($0, UInt64(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .andRR64Quiet:
        r.set64(at.dst, r.get64(at.dst) & r.get64(at.src))
        at.op += 1
        continue
      case .andRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) & UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // SUB
      case .subRR32:
        r.set32(at.dst, s.subtract(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .subRI32:
        r.set32(at.dst, s.subtract(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .subRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.subtract(r.get32(at.dst), value))
        at.op += 1
        continue
      case .subMR32:
        guard update(at, direct, r.address(at.op), { s.subtract($0, r.get32(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .subMI32:
        guard update(at, direct, r.address(at.op), { s.subtract($0, UInt32(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .subRR32Quiet:
        r.set32(at.dst, r.get32(at.dst) &- r.get32(at.src))
        at.op += 1
        continue
      case .subRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) &- UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .subRR64:
        r.set64(at.dst, s.subtract(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .subRI64:
        r.set64(at.dst, s.subtract(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .subRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.subtract(r.get64(at.dst), value))
        at.op += 1
        continue
      case .subMR64:
        guard update(at, direct, r.address(at.op), { s.subtract($0, r.get64(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .subMI64:
        guard update(at, direct, r.address(at.op), { s.subtract($0, UInt64(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .subRR64Quiet:
        r.set64(at.dst, r.get64(at.dst) &- r.get64(at.src))
        at.op += 1
        continue
      case .subRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) &- UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // XOR
      case .xorRR32:
        r.set32(at.dst, s.xor(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .xorRI32:
        r.set32(at.dst, s.xor(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .xorRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.xor(r.get32(at.dst), value))
        at.op += 1
        continue
      case .xorMR32:
        guard update(at, direct, r.address(at.op), { s.xor($0, r.get32(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .xorMI32:
        guard update(at, direct, r.address(at.op), { s.xor($0, UInt32(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .xorRR32Quiet:
        r.set32(at.dst, r.get32(at.dst) ^ r.get32(at.src))
        at.op += 1
        continue
      case .xorRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) ^ UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .xorRR64:
        r.set64(at.dst, s.xor(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .xorRI64:
        r.set64(at.dst, s.xor(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .xorRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.xor(r.get64(at.dst), value))
        at.op += 1
        continue
      case .xorMR64:
        guard update(at, direct, r.address(at.op), { s.xor($0, r.get64(at.src)) }) else { return fail(at) }
        at.op += 1
        continue
      case .xorMI64:
        guard update(at, direct, r.address(at.op), { s.xor($0, UInt64(truncatingIfNeeded: at.imm)) }) else { return fail(at) }
        at.op += 1
        continue
      case .xorRR64Quiet:
        r.set64(at.dst, r.get64(at.dst) ^ r.get64(at.src))
        at.op += 1
        continue
      case .xorRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) ^ UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // CMP
      case .cmpRR8:
        _ = s.subtract(r.get8(at.dst), r.get8(at.src))
        at.op += 1
        continue
      case .cmpRI8:
        _ = s.subtract(r.get8(at.dst), UInt8(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .cmpRM8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(r.get8(at.dst), value)
        at.op += 1
        continue
      case .cmpMR8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, r.get8(at.src))
        at.op += 1
        continue
      case .cmpMI8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, UInt8(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .cmpRR32:
        _ = s.subtract(r.get32(at.dst), r.get32(at.src))
        at.op += 1
        continue
      case .cmpRI32:
        _ = s.subtract(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .cmpRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(r.get32(at.dst), value)
        at.op += 1
        continue
      case .cmpMR32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, r.get32(at.src))
        at.op += 1
        continue
      case .cmpMI32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .cmpRR64:
        _ = s.subtract(r.get64(at.dst), r.get64(at.src))
        at.op += 1
        continue
      case .cmpRI64:
        _ = s.subtract(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .cmpRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(r.get64(at.dst), value)
        at.op += 1
        continue
      case .cmpMR64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, r.get64(at.src))
        at.op += 1
        continue
      case .cmpMI64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.subtract(value, UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // TEST
      case .testRR8:
        _ = s.and(r.get8(at.dst), r.get8(at.src))
        at.op += 1
        continue
      case .testRI8:
        _ = s.and(r.get8(at.dst), UInt8(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .testMI8:
        guard let value: UInt8 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.and(value, UInt8(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .testRR32:
        _ = s.and(r.get32(at.dst), r.get32(at.src))
        at.op += 1
        continue
      case .testRI32:
        _ = s.and(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .testMI32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.and(value, UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .testRR64:
        _ = s.and(r.get64(at.dst), r.get64(at.src))
        at.op += 1
        continue
      case .testRI64:
        _ = s.and(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .testMI64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        _ = s.and(value, UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue

      // ADC, SBB, INC, DEC, NEG, NOT
      case .adcRR32:
        r.set32(at.dst, s.addCarry(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .adcRI32:
        r.set32(at.dst, s.addCarry(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .adcRR64:
        r.set64(at.dst, s.addCarry(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .adcRI64:
        r.set64(at.dst, s.addCarry(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .sbbRR32:
        r.set32(at.dst, s.subtractBorrow(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .sbbRI32:
        r.set32(at.dst, s.subtractBorrow(r.get32(at.dst), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .sbbRR64:
        r.set64(at.dst, s.subtractBorrow(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .sbbRI64:
        r.set64(at.dst, s.subtractBorrow(r.get64(at.dst), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .incR32:
        r.set32(at.dst, s.increment(r.get32(at.dst)))
        at.op += 1
        continue
      case .incR64:
        r.set64(at.dst, s.increment(r.get64(at.dst)))
        at.op += 1
        continue
      case .decR32:
        r.set32(at.dst, s.decrement(r.get32(at.dst)))
        at.op += 1
        continue
      case .decR64:
        r.set64(at.dst, s.decrement(r.get64(at.dst)))
        at.op += 1
        continue
      case .negR32:
        r.set32(at.dst, s.subtract(0, r.get32(at.dst)))
        at.op += 1
        continue
      case .negR64:
        r.set64(at.dst, s.subtract(0, r.get64(at.dst)))
        at.op += 1
        continue
      case .notR32:
        r.set32(at.dst, ~r.get32(at.dst))
        at.op += 1
        continue
      case .notR64:
        r.set64(at.dst, ~r.get64(at.dst))
        at.op += 1
        continue

      // Shifts, rotations, multiplication
      case .shlRI32:
        r.set32(at.dst, s.shiftLeft(r.get32(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .shlRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(at.dst, s.shiftLeft(r.get32(at.dst), count))
        } else {
          r.set32(at.dst, r.get32(at.dst))
        }
        at.op += 1
        continue
      case .shlRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) &<< UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .shlRI64:
        r.set64(at.dst, s.shiftLeft(r.get64(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .shlRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(at.dst, s.shiftLeft(r.get64(at.dst), count))
        }
        at.op += 1
        continue
      case .shlRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) &<< UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .shrRI32:
        r.set32(at.dst, s.shiftRight(r.get32(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .shrRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(at.dst, s.shiftRight(r.get32(at.dst), count))
        } else {
          r.set32(at.dst, r.get32(at.dst))
        }
        at.op += 1
        continue
      case .shrRI32Quiet:
        r.set32(at.dst, r.get32(at.dst) &>> UInt32(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .shrRI64:
        r.set64(at.dst, s.shiftRight(r.get64(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .shrRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(at.dst, s.shiftRight(r.get64(at.dst), count))
        }
        at.op += 1
        continue
      case .shrRI64Quiet:
        r.set64(at.dst, r.get64(at.dst) &>> UInt64(truncatingIfNeeded: at.imm))
        at.op += 1
        continue
      case .sarRI32:
        r.set32(at.dst, s.shiftArithmetic(r.get32(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .sarRC32:
        let count = r.get64(Slot.rcx) & 31
        if count != 0 {
          r.set32(at.dst, s.shiftArithmetic(r.get32(at.dst), count))
        } else {
          r.set32(at.dst, r.get32(at.dst))
        }
        at.op += 1
        continue
      case .sarRI32Quiet:
        r.set32(at.dst, UInt32(bitPattern: Int32(bitPattern: r.get32(at.dst)) &>> Int32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .sarRI64:
        r.set64(at.dst, s.shiftArithmetic(r.get64(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .sarRC64:
        let count = r.get64(Slot.rcx) & 63
        if count != 0 {
          r.set64(at.dst, s.shiftArithmetic(r.get64(at.dst), count))
        }
        at.op += 1
        continue
      case .sarRI64Quiet:
        r.set64(at.dst, UInt64(bitPattern: Int64(bitPattern: r.get64(at.dst)) &>> Int64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .rolRI32:
        r.set32(at.dst, s.rotateLeft(r.get32(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .rolRI64:
        r.set64(at.dst, s.rotateLeft(r.get64(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .rorRI32:
        r.set32(at.dst, s.rotateRight(r.get32(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .rorRI64:
        r.set64(at.dst, s.rotateRight(r.get64(at.dst), UInt64(bitPattern: at.imm)))
        at.op += 1
        continue
      case .imulRR32:
        r.set32(at.dst, s.multiply(r.get32(at.dst), r.get32(at.src)))
        at.op += 1
        continue
      case .imulRRI32:
        r.set32(at.dst, s.multiply(r.get32(at.src), UInt32(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .imulRM32:
        guard let value: UInt32 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set32(at.dst, s.multiply(r.get32(at.dst), value))
        at.op += 1
        continue
      case .imulRR64:
        r.set64(at.dst, s.multiply(r.get64(at.dst), r.get64(at.src)))
        at.op += 1
        continue
      case .imulRRI64:
        r.set64(at.dst, s.multiply(r.get64(at.src), UInt64(truncatingIfNeeded: at.imm)))
        at.op += 1
        continue
      case .imulRM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        r.set64(at.dst, s.multiply(r.get64(at.dst), value))
        at.op += 1
        continue

      // Conditions and bits
      case .setcc:
        r.merge8(at.dst, s.holds(at.condition) ? 1 : 0)
        at.op += 1
        continue
      case .cmov32:
        r.set32(at.dst, s.holds(at.condition) ? r.get32(at.src) : r.get32(at.dst))
        at.op += 1
        continue
      case .cmov64:
        if s.holds(at.condition) { r.set64(at.dst, r.get64(at.src)) }
        at.op += 1
        continue
      case .btRI32:
        s.bitTest(r.get32(at.dst), UInt64(bitPattern: at.imm))
        at.op += 1
        continue
      case .btRR32:
        s.bitTest(r.get32(at.dst), UInt64(r.get32(at.src)))
        at.op += 1
        continue
      case .btRI64:
        s.bitTest(r.get64(at.dst), UInt64(bitPattern: at.imm))
        at.op += 1
        continue
      case .btRR64:
        s.bitTest(r.get64(at.dst), UInt64(r.get64(at.src)))
        at.op += 1
        continue

      // Stack. RSP changes only when the access has been made.
      case .push64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, r.get64(at.dst)) else { return fail(at) }
        r.set64(Slot.rsp, top)
        at.op += 1
        continue
      case .pushI64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, UInt64(bitPattern: at.imm)) else { return fail(at) }
        r.set64(Slot.rsp, top)
        at.op += 1
        continue
      case .pushM64:
        guard let value: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, value) else { return fail(at) }
        r.set64(Slot.rsp, top)
        at.op += 1
        continue
      case .pop64:
        guard let value: UInt64 = load(at, direct, r.get64(Slot.rsp)) else { return fail(at) }
        r.set64(Slot.rsp, r.get64(Slot.rsp) &+ 8)
        r.set64(at.dst, value)
        at.op += 1
        continue
      case .leave64:
        guard let value: UInt64 = load(at, direct, r.get64(Slot.rbp)) else { return fail(at) }
        r.set64(Slot.rsp, r.get64(Slot.rbp) &+ 8)
        r.set64(Slot.rbp, value)
        at.op += 1
        continue

      // Branches. Taken and not taken go on apart: joined, they would become a select and a wait for its condition.
      case .jump:
        s.finish(at.block)
        guard take(&at) else { return leave }
        continue
      case .fallThrough:
        s.finish(at.block)
        guard fallThrough(&at) else { return leave }
        continue
      case .jcc:
        s.finish(at.block)
        if s.holds(at.condition) {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubB:
        s.finish(at.block)
        if s.pointee.flags.a < s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubAe:
        s.finish(at.block)
        if s.pointee.flags.a >= s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubE:
        s.finish(at.block)
        if s.pointee.flags.a == s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubNe:
        s.finish(at.block)
        if s.pointee.flags.a != s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubBe:
        s.finish(at.block)
        if s.pointee.flags.a <= s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubA:
        s.finish(at.block)
        if s.pointee.flags.a > s.pointee.flags.b {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubL:
        s.finish(at.block)
        if s.signedA < s.signedB {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubGe:
        s.finish(at.block)
        if s.signedA >= s.signedB {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubLe:
        s.finish(at.block)
        if s.signedA <= s.signedB {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccSubG:
        s.finish(at.block)
        if s.signedA > s.signedB {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicE:
        s.finish(at.block)
        if s.pointee.flags.a == 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicNe:
        s.finish(at.block)
        if s.pointee.flags.a != 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicS:
        s.finish(at.block)
        if s.signedA < 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicNs:
        s.finish(at.block)
        if s.signedA >= 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicLe:
        s.finish(at.block)
        if s.signedA <= 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .jccLogicG:
        s.finish(at.block)
        if s.signedA > 0 {
          guard take(&at) else { return leave }
          continue
        } else {
          guard fallThrough(&at) else { return leave }
          continue
        }
      case .call64:
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, UInt64(bitPattern: at.op[1].imm)) else { return fail(at) }
        r.set64(Slot.rsp, top)
        s.finish(at.block)
        guard take(&at) else { return leave }
        continue
      case .ret64:
        guard let target: UInt64 = load(at, direct, r.get64(Slot.rsp)) else { return fail(at) }
        guard isCanonical(target) else { return refuse(at) }
        r.set64(Slot.rsp, r.get64(Slot.rsp) &+ 8)
        s.finish(at.block)
        guard jump(&at, to: target) else { return leave }
        continue
      case .jumpR64:
        let target = r.get64(at.dst)
        guard isCanonical(target) else { return refuse(at) }
        s.finish(at.block)
        guard jump(&at, to: target) else { return leave }
        continue
      case .jumpM64:
        guard let target: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        guard isCanonical(target) else { return refuse(at) }
        s.finish(at.block)
        guard jump(&at, to: target) else { return leave }
        continue
      case .callR64:
        let target = r.get64(at.dst)
        guard isCanonical(target) else { return refuse(at) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, UInt64(bitPattern: at.op[1].imm)) else { return fail(at) }
        r.set64(Slot.rsp, top)
        s.finish(at.block)
        guard jump(&at, to: target) else { return leave }
        continue
      case .callM64:
        guard let target: UInt64 = load(at, direct, r.address(at.op)) else { return fail(at) }
        guard isCanonical(target) else { return refuse(at) }
        let top = r.get64(Slot.rsp) &- 8
        guard store(at, direct, top, UInt64(bitPattern: at.op[1].imm)) else { return fail(at) }
        r.set64(Slot.rsp, top)
        s.finish(at.block)
        guard jump(&at, to: target) else { return leave }
        continue

      // Everything rarer
      case .callout:
        guard callOut(at.op) else { return fail(at) }
        at.op += 1
        continue
      case .calloutTerminal:
        return callOutAndLeave(at)
      case .mark:
        return mark(at)
      case .invalidOpcode:
        stop = .exception(.invalidOpcode)
        return fail(at)
      case .tooLong:
        stop = .exception(.generalProtection(0))
        return fail(at)
      case .unsupported:
        stop = .unsupported("")
        return fail(at)
      case .stale, .tail:
        stop = .none
        return fail(at)
      }
    }
  }
}
