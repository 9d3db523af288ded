extension Callout {
  /// What the memory operand of a callout is accessed for: how many bytes, and whether they are written. A segment's
  /// limit and type are checked by it.
  ///
  /// INVLPG accesses nothing, and is not checked (SDM vol. 2). Of a bit string the instruction knows which part it
  /// accesses; of a far pointer it accesses the offset first, of bounds the lower one; ARPL may have nothing to write,
  /// and POP reads the stack first (`linear(behind:)`). Of an extended or x87 state the instruction knows the size. A
  /// cache line counts as one byte that is read.
  func memoryAccess(_ form: OperandForm) -> (width: UInt8, writes: Bool) {
    let width: Int
    switch self {
    case .invalidatePage: return (0, false)
    case .bt, .bts, .btr, .btc:
      if form.shape == .mr { return (0, false) }
      width = form.width
    case .pop, .extendedState, .adjustPrivilege: return (0, false)
    case .x87:
      let operation = X87Form(rawValue: form.extra).operation
      return operation.movesState ? (0, false) : (UInt8(clamping: form.width), !operation.readsMemory)
    case .cacheLineFlush, .lea: width = 1
    case .movzx, .movsx, .crc32, .loadAccessRights, .loadSegmentLimit, .invalidatePCID: width = form.sourceWidth
    // A limit and a base.
    case .loadGDT, .loadIDT, .storeGDT, .storeIDT: width = form.width == 8 ? 10 : 6
    case .storeMachineStatus, .storeLDT, .storeTask, .movFromSegment: width = 2
    default: width = form.width
    }
    return (UInt8(clamping: max(width, 1)), writesMemory(form.shape))
  }

  private func writesMemory(_ shape: OperandShape) -> Bool {
    switch shape {
    case .mr, .mi, .mri:
      switch self {
      case .cmp, .test, .bt: false
      default: true
      }
    case .m:
      switch self {
      case .setcc, .pop, .inc, .dec, .neg, .not, .rol, .ror, .rcl, .rcr, .shl, .shr, .sar, .cmpxchg8b, .cmpxchg16b,
        .storeMachineStatus, .storeGDT, .storeIDT, .storeLDT, .storeTask, .movFromSegment:
        true
      default: false
      }
    default: false
    }
  }
}
