import Machine

/// What a debugger sees of a hypervisor's tables. Looking changes nothing and takes no time.
extension Hypervisor {
  /// A shadow page, for people.
  public struct ShadowPageView: Sendable {
    public var gfn: UInt64
    public var level: Int
    /// It shadows no table, but a stretch of guest-physical memory.
    public var isDirect: Bool
    public var access: PagePermissions
    public var table: HostPhysical
    public var present: Int
    /// Some processor's root now.
    public var isRoot: Bool
  }

  /// A shadow entry that stands for an entry of the guest's.
  public struct ShadowEntryView: Sendable {
    public var address: HostPhysical
    public var level: Int
    public var rawValue: UInt64
  }

  /// The live shadow pages, the one used last first; nil under nested paging.
  public var shadowPages: [ShadowPageView]? {
    guard hasShadows else { return nil }
    let roots = virtualProcessors.compactMap { virtual -> HostPhysical? in
      guard case .shadow(let paging) = virtual.controls.paging else { return nil }
      return paging.root
    }
    return shadows.pool.live.map { index in
      let page = shadows.pool[index]
      return ShadowPageView(
        gfn: page.gfn, level: page.role.level, isDirect: page.role.isDirect, access: page.role.access,
        table: page.table, present: page.present, isRoot: roots.contains(page.table))
    }
  }

  /// The most shadow pages that there may be.
  public var shadowPageLimit: Int? { hasShadows ? shadows.pool.limit : nil }

  /// The shadow entries that stand for the entry of a guest table; none where the frame is no shadowed table.
  public func shadowEntries(ofGuestEntryAt address: GuestPhysical) -> [ShadowEntryView] {
    guard hasShadows else { return [] }
    var views: [ShadowEntryView] = []
    var index = shadows.pool.firstPage(of: address.frame)
    while index >= 0 {
      let page = shadows.pool[index]
      if !page.role.isDirect {
        let number = Int(address.pageOffset) / (page.role.isNarrow ? 4 : 8)
        for entry in page.role.entries(of: number) {
          let at = page.table.advanced(by: UInt64(entry) * 8)
          views.append(ShadowEntryView(address: at, level: page.role.level, rawValue: memory.word(at: at)))
        }
      }
      index = Int(page.nextOfFrame)
    }
    return views
  }

  /// Whether a guest's frame is a table that is kept write-protected.
  public func isGuarded(_ address: GuestPhysical) -> Bool { shadows.pool.isGuarded(address.frame) }

  /// The nested tables' root and how many levels they have; nil under shadow paging.
  public var nestedPlan: NestedPlan? { nested?.plan }
  /// Frames that hold the hypervisor's tables.
  public var tableFrames: UInt64 { allocator.tables }
  /// Frames given to the guest.
  public var guestFrames: UInt64 { allocator.guestFrames }
}
