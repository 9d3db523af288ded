extension Callout {
  /// What the memory operand of a callout is accessed for: how many bytes, and whether they are written. A segment's
  /// limit and type are checked by it before the instruction begins.
  ///
  /// INVLPG accesses nothing, and is not checked (SDM vol. 2). A cache line counts as one byte that is read, and so does
  /// an area whose size only the instruction knows (the extended states).
  func memoryAccess(_ form: OperandForm) -> (width: UInt8, writes: Bool) {
    let width: Int
    switch self {
    case .invalidatePage: return (0, false)
    case .cacheLineFlush, .extendedState, .lea: width = 1
    case .movzx, .movsx, .crc32, .loadAccessRights, .loadSegmentLimit, .invalidatePCID: width = form.sourceWidth
    case .bound: width = 2 * form.width
    // An offset and a selector.
    case .loadFarPointer, .callFar, .jumpFar: width = form.width + 2
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
      case .cmp, .test, .bt, .adjustPrivilege: false
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
