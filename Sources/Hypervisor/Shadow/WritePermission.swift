import Machine

/// Who writes a frame of the guest's by shadow entries.
enum FrameWriters {
  /// The guest's stores.
  case stores
  /// These, and the hardware, which sets A and D where it goes on in a table of the guest's by its host address.
  case storesAndWalks
}

/// Taking permission to write a frame of the guest's away. What TLBs hold of it the caller flushes.
extension Hypervisor {
  /// Takes permission to write a frame away from every shadow entry that gives it, alone or with a large page around it.
  /// There is no other place that does.
  ///
  /// - Parameters:
  ///   - cuttingUp: whether large pages around the frame go altogether: the next fault there makes small ones.
  ///   - cause: what the work is charged to.
  /// - Returns: whether there was such an entry.
  func takeWrites(
    of writers: FrameWriters = .storesAndWalks, to gfn: UInt64, cuttingUp: Bool = false, for cause: Cause
  ) -> Bool {
    var hasTaken = false
    for level in 1...3 {
      var slot = shadows.rmap.first(shadows.rmap.list(mapping: gfn, level: level))
      while slot >= 0 {
        let (present, next) = (entry(slot), shadows.rmap.next(slot))
        let wanted = cuttingUp && level > 1 ? .none : present.readOnly
        if wanted != present {
          change(slot, to: wanted, for: cause)
          hasTaken = true
        }
        slot = next
      }
    }
    if mutated("walks-keep-writing") { return hasTaken }
    if writers == .storesAndWalks && takeWalks(of: gfn, for: cause) { hasTaken = true }
    return hasTaken
  }

  /// Takes away the ways by which the hardware goes on in a guest's table by its host address, whatever nested tables say
  /// of it: switching entries, and roots that are the table itself.
  ///
  /// - Returns: whether there were any.
  @discardableResult func takeWalks(of gfn: UInt64, for cause: Cause) -> Bool {
    guard agile != nil else { return false }
    var hasTaken = false
    while true {
      let slot = shadows.rmap.first(shadows.rmap.list(switchingTo: gfn))
      guard slot >= 0 else { break }
      change(slot, to: .none, for: cause)
      hasTaken = true
    }
    for one in virtualProcessors where one.roots.forget(guestTable: gfn) { hasTaken = true }
    return hasTaken
  }

  /// Lets a table be written that the hardware is about to go on in by its host address: it sets A and D there and asks
  /// nobody.
  func letWalksWrite(_ gfn: UInt64) {
    if mutated("walks-unasked") { return }
    // Where nested tables have no D the permission is what tells of writes (`wasWritten`): the table counts as written
    // for one look.
    if setNestedWritable(GuestPhysical(gfn << 12), true) { work(.nestedFill, .protect) }
  }
}
