/// Instructions that are not worth a case of the dispatch switch: the handler `callout` calls a function of
/// `Instructions/` for them, with a generic description of the operands (`OperandForm`).
///
/// The raw value of the family is its place in the table of functions; one file of `Instructions/` has each family.
@frozen public enum Callout: UInt8, Sendable, CaseIterable {
  // Moves (Instructions/Move.swift)
  case mov, movzx, movsx, cmovcc, setcc, xchg, bswap, xlat, lahf, sahf
  /// CBW/CWDE/CDQE and CWD/CDQ/CQO, by width of the source.
  case convertInAX, convertToDX
  /// LEA with an operand or address size that `lea32`/`lea64` don't cover.
  case lea
  // Stack (Stack.swift)
  case push, pop, pushFlags, popFlags, pushAll, popAll, enter, leave
  // Arithmetic (Arithmetic.swift)
  case add, adc, sub, sbb, cmp, inc, dec, neg, mul, imulWide, imul, div, idiv, xadd, cmpxchg, cmpxchg8b, cmpxchg16b
  // Logic (Logic.swift)
  case and, or, xor, test, not
  // Shifts (Shift.swift): count in `imm`, or in CL when the form says `countInCL`
  case rol, ror, rcl, rcr, shl, shr, sar, shld, shrd
  // Bits (Bits.swift)
  case bt, bts, btr, btc, bsf, bsr, tzcnt, lzcnt, popcnt
  // Flags (Flags.swift)
  case clc, stc, cmc, cld, std, cli, sti, clac, stac
  // Bit manipulation (BitManipulation.swift)
  case andn, bextr, blsi, blsmsk, blsr, bzhi, mulx, pdep, pext, rorx, sarx, shlx, shrx
  // Later additions to the integer set (IntegerExtensions.swift)
  case adcx, adox, crc32, movbe, moveDirect, readRandom, readSeed
  // Decimal adjustment (Decimal.swift)
  case aaa, aas, aam, aad, daa, das
  // What 64-bit code has lost (Legacy.swift)
  case bound, adjustPrivilege, setALFromCarry
  // Strings (String.swift): repetition and widths in the form
  case movs, stos, lods, scas, cmps, ins, outs
  // Control (Control.swift)
  /// Near, with operand sizes that the hot handlers do not cover (16- and 32-bit code), or targets that have to be
  /// looked at.
  case callRelative, callIndirect, jumpRelative, jumpIndirect, ret, loop, loope, loopne, jcxz
  case callFar, jumpFar, retFar, interruptReturn, interrupt, breakpoint, overflow, debugTrap, undefined
  // System (System.swift)
  case sysCall, sysReturn, sysEnter, sysExit, swapGS, halt, cpuid, readTimeStamp, readTimeStampAux, readMSR, writeMSR
  case movFromControl, movToControl, movFromDebug, movToDebug, clearTaskSwitched, loadMachineStatus, storeMachineStatus
  case loadGDT, loadIDT, storeGDT, storeIDT, loadLDT, storeLDT, loadTask, storeTask
  case movToSegment, movFromSegment, loadFarPointer
  case invalidatePage, invalidatePCID, writeBackCaches, cacheLineFlush, fence, pause
  case readFSGSBase, writeFSGSBase, readPID, getXCR, setXCR, readKeys, writeKeys
  case verifyRead, verifyWrite, loadAccessRights, loadSegmentLimit
  case monitor, mwait
  case readCounter, serialize
  // Ports (Ports.swift)
  case `in`, out
  // Vectors, a family each (VectorOperation.swift): `OperandForm.vector` has the operation
  case vectorMove, vectorShuffle, vectorInteger, vectorFloat, vectorConvert, vectorString, extendedState
  case vectorFused, vectorPermute, vectorCipher
  /// The x87 (Instructions/X87): `OperandForm.extra` is an `X87Form`.
  case x87
  /// MMX, by families (Instructions/MMX.swift): `OperandForm.extra` is an `MMXForm`.
  case mmxMove, mmxShuffle, mmxInteger, mmxConvert
}

/// How a callout finds its operands.
@frozen public enum OperandShape: UInt8, Sendable {
  /// None, or all implied.
  case none
  /// One register (`dst`), or one memory operand.
  case r, m
  /// Destination first: `dst, src`; `dst, imm`; `dst, [memory]`; `[memory], src`; `[memory], imm`.
  case rr, ri, rm, mr, mi
  /// An immediate alone.
  case i
  /// Three operands: `dst, src, imm`; `dst, [memory], imm`; `[memory], src, imm` (IMUL, SHLD, SHRD).
  case rri, rmi, mri
}

/// The operands of a callout, packed into `Operation.link`.
@frozen public struct OperandForm: Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// - Parameters:
  ///   - width: operand size in bytes: 1, 2, 4, 8, 16 or 32.
  ///   - sourceWidth: size of the source in bytes where it differs (MOVZX, MOVSX), else 0.
  ///   - extra: by callout: `Condition`, `Repetition`, the number of a control, debug or segment register, selector of
  ///     a far pointer, the register that VEX.vvvv names...
  @inlinable public init(
    _ shape: OperandShape, width: Int, sourceWidth: Int = 0, locked: Bool = false, countInCL: Bool = false,
    addressSize: CodeSize = .bits64, segment: SegmentRegister? = nil, extra: UInt16 = 0, vector: VectorForm? = nil
  ) {
    rawValue =
      UInt64(shape.rawValue) | UInt64(UInt8(truncatingIfNeeded: width)) << 8
      | UInt64(UInt8(truncatingIfNeeded: sourceWidth)) << 16 | (locked ? 1 << 24 : 0) | (countInCL ? 1 << 25 : 0)
      | UInt64(addressSize.rawValue) << 26 | UInt64(segment?.rawValue ?? 7) << 28
      | UInt64(vector?.rawValue ?? UInt32(extra)) << 32
  }

  @inlinable public var shape: OperandShape { OperandShape(rawValue: UInt8(truncatingIfNeeded: rawValue)) ?? .none }
  @inlinable public var width: Int { Int((rawValue >> 8) & 0xff) }
  @inlinable public var sourceWidth: Int { Int((rawValue >> 16) & 0xff) }
  @inlinable public var isLocked: Bool { rawValue & (1 << 24) != 0 }
  @inlinable public var countInCL: Bool { rawValue & (1 << 25) != 0 }
  /// The address size, which string instructions and LOOP need for their counters and pointers.
  @inlinable public var addressSize: CodeSize { CodeSize(rawValue: UInt8((rawValue >> 26) & 3)) ?? .bits64 }
  /// The segment override or the default segment of the memory operand; nil where none was named.
  @inlinable public var segment: SegmentRegister? { SegmentRegister(rawValue: UInt8((rawValue >> 28) & 7)) }
  @inlinable public var extra: UInt16 { UInt16(truncatingIfNeeded: rawValue >> 32) }
  /// What stands in place of `extra` in the vector unit's families.
  @inlinable public var vector: VectorForm { VectorForm(rawValue: UInt32(truncatingIfNeeded: rawValue >> 32)) }
}

/// The repetition prefix of a string instruction.
@frozen public enum Repetition: UInt16, Sendable {
  case once, whileEqual, whileNotEqual
}

/// The segment registers in encoding order.
@frozen public enum SegmentRegister: UInt8, Sendable, CaseIterable {
  case es, cs, ss, ds, fs, gs
}
