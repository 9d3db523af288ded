import Machine

/// What root targets are made from: they hold for the guest's mode.
struct RootTargetBasis: Equatable {
  /// `ShadowRoots.changes`.
  var changes: UInt64
  /// Of the root in use; nil where there is none.
  var role: ShadowRole?
  /// CR4.PCIDE.
  var hasContexts: Bool
}

/// Agile paging: shadow roots that the hardware loads when the guest loads CR3, without an exit (Agile, section IV).
extension Hypervisor {
  /// Names the cached roots to the hardware, where they have changed or the guest's mode has.
  ///
  /// All are named, so that invalidations reach the translations of each; but a root of which a flush is due is not
  /// loaded without an exit, unless every load flushes. Nor are those of PAE paging: its PDPTEs have to be read. Nor is one of
  /// another mode, or, while the guest has no PCIDs, one of the time when it had.
  func nameRootTargets() {
    let role = roots.selected?.role
    let hasContexts = processor.pagingRegisters.cr4 & CR4.pcid != 0
    var basis = RootTargetBasis(changes: roots.changes, role: role, hasContexts: hasContexts)
    if let before = running.targetsMadeFrom {
      if mutated("root-targets-of-other-mode") { basis.role = before.role }
      if mutated("root-targets-of-other-contexts") { basis.hasContexts = before.hasContexts }
    }
    guard running.targetsMadeFrom != basis else { return }
    running.targetsMadeFrom = basis
    var targets: [VMControls.RootTarget] = []
    for (position, root) in roots.slots.enumerated() {
      // What is translated while the guest does not page, none of its invalidations concerns.
      guard let root, !root.key.isUnpaged else { continue }
      let key = root.key
      let isLoadable = key.role == role && key.role.mayNest && !key.role.isPAE && (hasContexts || key.pcid == 0)
      guard !root.needsFlush || isLoadable && !hasContexts else { continue }
      targets.append(
        .init(
          cr3: isLoadable ? key.gfn << 12 | UInt64(key.pcid) : nil, pcid: key.pcid,
          paging: hardwareRoot(root, tag: ShadowRoots.tag(position))))
    }
    controls.rootTargets = targets
  }

  /// Follows the hardware, where it has loaded another root, before anybody else asks which one is in use.
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
