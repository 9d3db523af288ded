import Machine

/// The registers of one processor as its guest can see them, by name: what must be the same however the guest's memory is
/// virtualised.
struct ArchitecturalState: Equatable {
  private(set) var values: [UInt64] = []

  /// - Parameters:
  ///   - state: the processor's.
  ///   - time: its guest's time.
  ///   - isHalted: whether it is in HLT, which a hypervisor knows better.
  init(_ state: ProcessorState, time: UInt64, isHalted: Bool) {
    values.reserveCapacity(ArchitecturalState.names.count)
    for slot in 0..<16 { values.append(state.slots[slot]) }
    values += [state.rip, state.rflags, UInt64(state.cpl)]
    values += [state.cr0, state.cr2, state.cr3, state.cr4, state.efer]
    values += [state.retired, time]
    values += [isHalted ? 1 : 0, state.awaitsStartUp ? 1 : 0, state.isShutDown ? 1 : 0]
    values += [state.blocksNonMaskable ? 1 : 0, state.interruptShadow == state.retired ? 1 : 0, state.randomDraws]
    for register in SegmentRegister.allCases { add(state[register]) }
    add(state.ldtr)
    add(state.tr)
    for table in [state.gdtr, state.idtr] { values += [table.base, UInt64(table.limit)] }
    for number in 0..<8 where number != 4 && number != 5 { values.append(state.debugRegisters[number]) }
    values += [
      state.star, state.lstar, state.cstar, state.sfmask, state.kernelGSBase, state.tscAux, state.tscOffset,
      state.sysEnterCS, state.sysEnterESP, state.sysEnterEIP, state.pat, state.miscEnable, state.xcr0, state.xss,
      UInt64(state.pkru), UInt64(state.pkrs),
    ]
    for number in ProcessorState.numberedRegisters { values.append(state.numberedRegister(number)) }
    add(state.vector)
  }

  private mutating func add(_ segment: Segment) {
    values += [UInt64(segment.selector), UInt64(segment.attributes), UInt64(segment.limit), segment.base]
  }

  private mutating func add(_ vector: VectorState) {
    for number in 0..<16 {
      let (low, high) = (vector.xmm[number], vector.upper[number])
      values += [low[0], low[1], high[0], high[1]]
    }
    let x87 = vector.x87
    values += [UInt64(vector.mxcsr), UInt64(x87.control), UInt64(x87.statusWord), UInt64(x87.tags), UInt64(x87.opcode)]
    values += [UInt64(x87.codeSelector), x87.instructionPointer, UInt64(x87.dataSelector), x87.dataPointer]
    for number in 0..<8 { values += [x87.registers[number].significand, UInt64(x87.registers[number].head)] }
  }

  /// The names of the values, in their order.
  static let names: [String] = {
    var names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"] + (8..<16).map { "r\($0)" }
    names += ["rip", "rflags", "cpl", "cr0", "cr2", "cr3", "cr4", "efer", "instructions", "time"]
    names += ["halted", "waits for SIPI", "shut down", "NMI blocked", "interrupt shadow", "random numbers drawn"]
    for segment in ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"] {
      names += [segment, "\(segment).attributes", "\(segment).limit", "\(segment).base"]
    }
    for table in ["gdtr", "idtr"] { names += ["\(table).base", "\(table).limit"] }
    names += [0, 1, 2, 3, 6, 7].map { "dr\($0)" }
    names += [
      "STAR", "LSTAR", "CSTAR", "SFMASK", "KERNEL_GS_BASE", "TSC_AUX", "TSC offset", "SYSENTER_CS", "SYSENTER_ESP",
      "SYSENTER_EIP", "PAT", "MISC_ENABLE", "xcr0", "XSS", "PKRU", "PKRS",
    ]
    names += ProcessorState.numberedRegisters.map { "MSR 0x" + String($0, radix: 16) }
    for number in 0..<16 { names += [0, 1, 2, 3].map { "ymm\(number)[\($0)]" } }
    names += ["mxcsr", "fcw", "fsw", "ftw", "fop", "fcs", "fip", "fds", "fdp"]
    for number in 0..<8 { names += ["r\(number).significand", "r\(number).sign and exponent"].map { "x87 " + $0 } }
    return names
  }()

  /// What differs, with both values.
  func differences(from other: ArchitecturalState) -> [(name: String, own: UInt64, other: UInt64)] {
    zip(ArchitecturalState.names, zip(values, other.values)).compactMap { name, pair in
      pair.0 == pair.1 ? nil : (name, pair.0, pair.1)
    }
  }
}
