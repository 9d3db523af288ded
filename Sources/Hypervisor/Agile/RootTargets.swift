import Machine

/// Agile paging: shadow roots that the hardware loads when the guest loads CR3, without an exit (Agile, section IV).
extension Hypervisor {
  /// Names the cached roots to the hardware, where they have changed.
  ///
  /// All are named, so that invalidations reach the translations of each; but a root of which a flush is due is not
  /// loaded without an exit, unless every load flushes. Nor are those of PAE paging: its PDPTEs have to be read.
  func nameRootTargets() {
    guard running.targetsMadeFrom != roots.changes else { return }
    running.targetsMadeFrom = roots.changes
    let registers = processor.pagingRegisters
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
