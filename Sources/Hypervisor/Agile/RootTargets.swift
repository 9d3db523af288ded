import Machine

/// What the root targets named to the hardware follow from: the cached roots, and the mode in which the guest would load
/// CR3.
struct RootTargetBasis: Equatable {
  var changes: UInt64
  var cr0: UInt64
  var cr4: UInt64
  var efer: UInt64
}

/// Agile paging: shadow roots that the hardware loads when the guest loads CR3, without an exit (Agile, section IV).
extension Hypervisor {
  /// Names the cached roots to the hardware, where they or the guest's mode have changed.
  ///
  /// All are named, so that invalidations reach the translations of each; but a root of which a flush is due is not
  /// loaded without an exit, unless every load flushes. Nor are those of PAE paging: its PDPTEs have to be read.
  func nameRootTargets() {
    let registers = processor.pagingRegisters
    let basis = RootTargetBasis(changes: roots.changes, cr0: registers.cr0, cr4: registers.cr4, efer: registers.efer)
    guard running.targetsMadeFrom != basis else { return }
    running.targetsMadeFrom = basis
    let hasContexts = registers.cr4 & CR4.pcid != 0
    let role = ShadowRole(registers)
    var targets: [VMControls.RootTarget] = []
    for (position, root) in roots.slots.enumerated() {
      guard let root, !root.needsFlush || !hasContexts else { continue }
      let key = root.key
      let isLoadable = key.role == role && role.mayNest && !role.isPAE
      targets.append(
        .init(
          cr3: isLoadable ? key.gfn << 12 | UInt64(key.pcid) : nil, pcid: key.pcid,
          paging: hardwareRoot(root, tag: ShadowRoots.tag(position))))
    }
    controls.rootTargets = targets
  }

  /// Follows the hardware, where it has loaded another root.
  func noteLoadedRoot() {
    guard agile != nil, case .shadow(let loaded) = processor.activeControls.paging,
      controls.paging != .shadow(loaded)
    else { return }
    controls.paging = .shadow(loaded)
    let position = ShadowRoots.position(loaded.tag)
    guard roots.slots.indices.contains(position), let root = roots.slots[position] else { return }
    roots.use(position, for: root.key)
    for page in root.pages where page >= 0 { shadows.pool.use(page) }
  }
}
