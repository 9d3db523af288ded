/// The control bits that decide, with a page's permissions, whether an access is allowed.
@frozen public struct PagingControls: Equatable, Sendable {
  /// CR0.WP: supervisor writes honour R/W.
  public var writeProtect: Bool
  /// CR4.SMEP and CR4.SMAP.
  public var smep: Bool
  public var smap: Bool
  /// EFLAGS.AC, which suspends SMAP for explicit accesses.
  public var alignmentCheckFlag: Bool

  public init(writeProtect: Bool, smep: Bool, smap: Bool, alignmentCheckFlag: Bool) {
    self.writeProtect = writeProtect
    self.smep = smep
    self.smap = smap
    self.alignmentCheckFlag = alignmentCheckFlag
  }

  /// Whether an access to a page with these permissions is allowed (SDM vol. 3, 4.6.1). The one permission check: the
  /// walker, the TLB's hit path and the hypervisor all ask here.
  @inline(__always) public func allows(_ access: Access, to page: PagePermissions) -> Bool {
    switch access.privilege {
    case .user:
      guard page.user else { return false }
      switch access.kind {
      case .read: return true
      case .write: return page.writable
      case .fetch: return page.executable
      }
    case .supervisor, .implicitSupervisor:
      switch access.kind {
      case .fetch:
        return page.executable && !(smep && page.user)
      case .read:
        return !isHeldBack(access, page)
      case .write:
        return (page.writable || !writeProtect) && !isHeldBack(access, page)
      }
    }
  }

  /// SMAP: supervisor data accesses to user pages, unless explicit with EFLAGS.AC set.
  @inline(__always) private func isHeldBack(_ access: Access, _ page: PagePermissions) -> Bool {
    smap && page.user && !(alignmentCheckFlag && access.privilege == .supervisor)
  }
}
