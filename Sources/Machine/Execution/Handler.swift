/// What an operation does: one case of the dispatch switch each.
///
/// Names: what, operand form (R register, I immediate, M memory, C count in CL; destination first), operand size in
/// bits. Keep it below 300 cases: compile time grows faster than linearly, and rarer instructions are `Callout`s.
@frozen public enum Handler: UInt16, CaseIterable, Sendable {
  /// A prepared memory address: `slots[address] = ((slots[base] + slots[index] << scale + disp) & imm) + base of
  /// segment n`, n = 7: no segment. `imm` is the mask of the address size. In 16- and 32-bit code the segment's limit
  /// and type are checked too; the block builder puts the bytes of the access into `dst`, and 1 for a write into `src`.
  case address
  /// Nothing: NOP, hints, prefetches.
  case nop
  /// `mark` n: the statistics change region.
  case mark
  /// Moves between registers; a 32-bit destination is zero-extended, 8- and 16-bit ones merge. `movRI` has the whole
  /// value in `imm`.
  case movRR64, movRR32, movRI, mergeRR8, mergeRR16, mergeRI8, mergeRI16
  /// Zero- and sign-extending moves between registers (the low byte only).
  case zeroRR8, zeroRR16, signRR8to32, signRR8to64, signRR16to32, signRR16to64, signRR32to64
  /// Loads: zero-extended to the register, merged into it, or sign-extended.
  case load8, load16, load32, load64, loadMerge8, loadMerge16, loadSign8to32, loadSign8to64, loadSign16to32
  case loadSign16to64, loadSign32to64
  /// Stores of a register and of an immediate.
  case store8, store16, store32, store64, storeI8, storeI16, storeI32, storeI64
  /// LEA.
  case lea32, lea64
  /// ADD: register with register, immediate, memory; memory with register, immediate.
  case addRR32, addRI32, addRM32, addMR32, addMI32, addRR64, addRI64, addRM64, addMR64, addMI64
  /// OR: register with register, immediate, memory; memory with register, immediate.
  case orRR32, orRI32, orRM32, orMR32, orMI32, orRR64, orRI64, orRM64, orMR64, orMI64
  /// AND: register with register, immediate, memory; memory with register, immediate.
  case andRR32, andRI32, andRM32, andMR32, andMI32, andRR64, andRI64, andRM64, andMR64, andMI64
  /// SUB: register with register, immediate, memory; memory with register, immediate.
  case subRR32, subRI32, subRM32, subMR32, subMI32, subRR64, subRI64, subRM64, subMR64, subMI64
  /// XOR: register with register, immediate, memory; memory with register, immediate.
  case xorRR32, xorRI32, xorRM32, xorMR32, xorMI32, xorRR64, xorRI64, xorRM64, xorMR64, xorMI64
  /// ADD whose flags nobody reads (only the block builder makes these).
  case addRR32Quiet, addRI32Quiet, addRR64Quiet, addRI64Quiet
  /// OR whose flags nobody reads (only the block builder makes these).
  case orRR32Quiet, orRI32Quiet, orRR64Quiet, orRI64Quiet
  /// AND whose flags nobody reads (only the block builder makes these).
  case andRR32Quiet, andRI32Quiet, andRR64Quiet, andRI64Quiet
  /// SUB whose flags nobody reads (only the block builder makes these).
  case subRR32Quiet, subRI32Quiet, subRR64Quiet, subRI64Quiet
  /// XOR whose flags nobody reads (only the block builder makes these).
  case xorRR32Quiet, xorRI32Quiet, xorRR64Quiet, xorRI64Quiet
  /// CMP.
  case cmpRR8, cmpRI8, cmpRM8, cmpMR8, cmpMI8, cmpRR32, cmpRI32, cmpRM32, cmpMR32, cmpMI32, cmpRR64, cmpRI64
  case cmpRM64, cmpMR64, cmpMI64
  /// TEST.
  case testRR8, testRI8, testMI8, testRR32, testRI32, testMI32, testRR64, testRI64, testMI64
  /// ADC and SBB between registers or with an immediate.
  case adcRR32, adcRI32, adcRR64, adcRI64, sbbRR32, sbbRI32, sbbRR64, sbbRI64
  /// INC, DEC, NEG, NOT of a register.
  case incR32, incR64, decR32, decR64, negR32, negR64, notR32, notR64
  /// Shifts by an immediate (1 to 63) and by CL.
  case shlRI32, shlRC32, shlRI64, shlRC64, shrRI32, shrRC32, shrRI64, shrRC64, sarRI32, sarRC32, sarRI64, sarRC64
  /// Shifts by an immediate whose flags nobody reads.
  case shlRI32Quiet, shlRI64Quiet, shrRI32Quiet, shrRI64Quiet, sarRI32Quiet, sarRI64Quiet
  /// Rotations by an immediate.
  case rolRI32, rolRI64, rorRI32, rorRI64
  /// Rotations whose flags nobody reads; to the right is to the left by the rest of the width.
  case rolRI32Quiet, rolRI64Quiet
  /// IMUL with two and three operands (`imulRRI`: dst = src * imm).
  case imulRR32, imulRRI32, imulRM32, imulRR64, imulRRI64, imulRM64
  /// SETcc of a register's low byte, CMOVcc between registers; condition in `n`.
  case setcc, cmov32, cmov64
  /// BT of a register by an immediate or a register.
  case btRI32, btRR32, btRI64, btRR64
  /// 64-bit stack operations of 64-bit code.
  case push64, pushI64, pushM64, pop64, leave64
  /// Direct and indirect near branches of 64-bit code; targets absolute in `imm`.
  case jump, call64, ret64, jumpR64, jumpM64, callR64, callM64
  /// Direct jump of 16- and 32-bit code has `jump` too. Conditional jump, condition in `n`, taken target in `imm`.
  case jcc
  /// Conditional jumps whose flags a comparison or subtraction in the same block made, and those after a logical
  /// instruction (only the block builder makes these).
  case jccSubB, jccSubAe, jccSubE, jccSubNe, jccSubBe, jccSubA, jccSubL, jccSubGe, jccSubLe, jccSubG, jccLogicE
  case jccLogicNe, jccLogicS, jccLogicNs, jccLogicLe, jccLogicG
  /// A comparison or TEST and the conditional jump after it in one; the jump's own operation follows (only the block
  /// builder makes these).
  case cmpRR32JccB, cmpRR32JccAe, cmpRR32JccE, cmpRR32JccNe, cmpRR32JccL, cmpRR32JccGe
  case cmpRI32JccB, cmpRI32JccAe, cmpRI32JccE, cmpRI32JccNe
  case cmpRI32JccL, cmpRR64JccB, cmpRR64JccAe, cmpRR64JccE, cmpRR64JccNe
  case cmpRR64JccL, cmpRR64JccGe, cmpRR64JccG, cmpRI64JccB, cmpRI64JccAe
  case cmpRI64JccE, cmpRI64JccNe, cmpRI64JccL, cmpRI64JccG
  case testRR32JccE, testRR32JccNe, testRR32JccS, testRR32JccNs, testRR64JccE
  case testRR64JccNe, testRR64JccS, testRR64JccNs
  /// Moves of vectors: whole between registers, from and to memory at any address or at multiples of 16; of the low
  /// part, the rest cleared by a load and by `vectorMoveLow64`; from and to a general register.
  case vectorMoveRR, vectorLoad, vectorLoadAligned, vectorStore, vectorStoreAligned
  case vectorLoadLow32, vectorLoadLow64, vectorStoreLow32, vectorStoreLow64
  case vectorMergeLow32, vectorMergeLow64, vectorMoveLow64, vectorFromR32, vectorFromR64, vectorToR32, vectorToR64
  /// Operations on two vectors: PAND and its kin, PADDD, PADDQ, PSUBB, PCMPEQB; PMOVMSKB; PSHUFD.
  case vectorAndRR, vectorAndNotRR, vectorOrRR, vectorXorRR, vectorAddRR32, vectorAddRR64, vectorSubtractRR8
  case vectorEqualRR8, vectorMaskRR8, vectorSelectRR32
  /// The other operations of `VectorInteger` and `VectorShuffle` that make a vector of two.
  case integerRR, integerRI, integerRM, shuffleRR, shuffleRM
  /// Scalars of double precision, as long as the host's arithmetic is the exact one's.
  case doubleAddRR, doubleAddRM, doubleSubtractRR, doubleSubtractRM, doubleMultiplyRR, doubleMultiplyRM
  case doubleDivideRR, doubleDivideRM, doubleCompareRR, doubleCompareRM
  case doubleFromR32, doubleFromR64, doubleToR32, doubleToR64
  /// The other floating-point arithmetic, by the width of the memory operand.
  case floatRR, floatRM32, floatRM64, floatRM128
  /// The other vector instructions that nothing forbids.
  case vector
  /// The block ends without a branch: the next instruction is in another block.
  case fallThrough
  /// An instruction of `Callout` n that leaves RIP at the next instruction, and one that may go elsewhere or change the
  /// mode, which ends its block.
  case callout, calloutTerminal
  /// Bytes that are no instruction (#UD), an instruction longer than 15 bytes (#GP), an instruction not yet done; each
  /// ends its block.
  case invalidOpcode, tooLong, unsupported
  /// The block was dropped or has to stop before this instruction: look the next one up (the executor's own).
  case stale
  /// The second slot of every operation that ends a block; never executed.
  case tail
}
