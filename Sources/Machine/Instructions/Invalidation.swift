/// Dropping translations and cache lines (SDM vol. 3, 4.10.4; vol. 2: INVLPG, INVPCID, WBINVD, CLFLUSH).
extension Processor {
  func invalidatePage(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try requireRing0()
    let address = effectiveAddress(op)
    if isObserved { tell(.invalidation(GuestVirtual(address))) }
    if controls.intercepts.contains(.invalidations) {
      var exit = instructionExit(.invalidatePage, op)
      exit.address = GuestVirtual(address)
      throw self.exit(exit)
    }
    // An address that is not canonical drops nothing.
    guard !is64BitMode || isCanonicalBase(address) else { return }
    charge(.flush, costs.flushPage)
    for context in contexts(of: nil) { invalidatePage(GuestVirtual(address), pcid: context, globals: true) }
  }

  func invalidatePCID(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard features.contains(.invpcid) else { throw raise(.invalidOpcode) }
    try requireRing0()
    let form = OperandForm(op)
    let type = register(op.pointee.dst, width: form.width)
    let location = effectiveAddress(op)
    let low = try load(location, width: 8, stack: form.usesStack)
    let address = try load((location &+ 8) & addressLimit, width: 8, stack: form.usesStack)
    guard type < 4, low >> 12 == 0 else { throw raise(.generalProtection(0)) }
    let pcid = UInt16(low & 0xfff)
    // Only types 0 and 1 look at the PCID, and only type 0 at the address.
    if type < 2 && pcid != 0 && s.pointee.cr4 & CR4.pcid == 0 { throw raise(.generalProtection(0)) }
    // Judged like a base: by the widest address that the processor supports.
    if type == 0 && !isCanonicalBase(address) { throw raise(.generalProtection(0)) }
    if isObserved { tell(.invalidation(type == 0 ? GuestVirtual(address) : nil)) }
    if controls.intercepts.contains(.invalidations) {
      var exit = instructionExit(.invalidatePCID, op)
      exit.number = UInt32(truncatingIfNeeded: type)
      exit.value = UInt64(pcid)
      exit.address = GuestVirtual(address)
      throw self.exit(exit)
    }
    switch type {
    case 0:
      charge(.flush, costs.flushPage)
      for context in contexts(of: pcid) { invalidatePage(GuestVirtual(address), pcid: context, globals: false) }
    case 1:
      charge(.flush, costs.flushAll)
      for context in contexts(of: pcid) { flushContext(pcid: context) }
    case 2: flushEverything()
    default:
      charge(.flush, costs.flushAll)
      flushNonGlobal()
    }
  }

  // MARK: Caches

  /// WBINVD, INVD, WBNOINVD. Memory is always coherent here, and the modelled caches keep what they hold.
  func writeBackCaches(_ op: UnsafePointer<Operation>) throws(Stopped) { try requireRing0() }

  /// CLFLUSH and its kin are checked as a load of a byte (SDM vol. 2, CLFLUSH).
  func cacheLineFlush(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let feature: FeatureSet =
      switch form.extra {
      case 0: .clflush
      case 1: .clflushopt
      default: .clwb
      }
    guard features.contains(feature) else { throw raise(.invalidOpcode) }
    _ = try load(effectiveAddress(op), width: 1, stack: form.usesStack)
  }

  /// LFENCE, SFENCE, MFENCE: accesses are made in order anyway.
  func fence(_ op: UnsafePointer<Operation>) throws(Stopped) {}

  /// Whoever waits in a loop lets the others go on: what it waits for must come from them.
  func pause(_ op: UnsafePointer<Operation>) throws(Stopped) {
    guard sharesTime else { return }
    yield()
    s.pointee.executedDeadline = 0
  }
}
