/// Who may touch an I/O port (SDM vol. 1, 19.5).
extension Processor {
  /// Raises #GP(0) unless CPL <= IOPL or the task's I/O permission bitmap has zeros for all of the ports that the
  /// access covers.
  func checkPort(_ port: UInt16, width: Int) throws(Stopped) {
    let state = s.pointee
    guard state.cr0 & CR0.protectionEnable != 0 else { return }
    let isVirtual8086 = state.systemFlags & Flag.virtual8086 != 0
    let privilegeLevel = (state.systemFlags & Flag.ioPrivilege) >> 12
    if UInt64(state.cpl) <= privilegeLevel && !isVirtual8086 { return }
    let task = state.tr
    let limit = UInt64(task.limit)
    // Only 32- and 64-bit task state has a bitmap; its offset stands in the last two bytes of the fixed part.
    guard task.isPresent, task.type & 0xd == 9, limit >= 0x67 else { throw raise(.generalProtection(0)) }
    let mask = addressLimit
    let offset = try loadSystem((task.base &+ 0x66) & mask, width: 2) &+ UInt64(port >> 3)
    // Two bytes are always read, so that an access to several ports may straddle a byte.
    guard offset &+ 1 <= limit else { throw raise(.generalProtection(0)) }
    let bits = try loadSystem((task.base &+ offset) & mask, width: 2) >> UInt64(port & 7)
    guard bits & ((1 << UInt64(width & 7)) &- 1) == 0 else { throw raise(.generalProtection(0)) }
  }

  /// Which bits of a linear address exist: all of them in long mode, 32 elsewhere.
  var addressLimit: UInt64 { s.pointee.isLongMode ? .max : 0xffff_ffff }
}
