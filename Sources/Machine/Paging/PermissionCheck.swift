/// The control bits that decide, with a page's permissions, whether an access is allowed.
@frozen public struct PagingControls: Equatable, Sendable {
  /// CR0.WP: supervisor writes honour R/W.
  public var writeProtect: Bool
  /// CR4.SMEP and CR4.SMAP.
  public var smep: Bool
  public var smap: Bool
  /// EFLAGS.AC, which suspends SMAP for explicit accesses.
  public var alignmentCheckFlag: Bool
  /// What protection keys deny on pages of the user and of the supervisor: two bits a key, AD and WD. 0 where the keys
  /// are not enabled.
  public var keys: ProtectionKeys

  public init(
    writeProtect: Bool, smep: Bool, smap: Bool, alignmentCheckFlag: Bool, keys: ProtectionKeys = ProtectionKeys()
  ) {
    self.writeProtect = writeProtect
    self.smep = smep
    self.smap = smap
    self.alignmentCheckFlag = alignmentCheckFlag
    self.keys = keys
  }

  /// Whether an access to a page with these permissions is allowed (SDM vol. 3, 4.6). The one permission check: the
  /// walker, the TLB's hit path and the hypervisor all ask here.
  @inline(__always) public func allows(_ access: Access, to page: PagePermissions) -> Bool {
    allowsWithoutKeys(access, to: page) && !(keys.areInUse && deniesByKey(access, to: page))
  }

  /// The same with every key permitting everything (SDM vol. 3, 4.6.1).
  @inline(__always) func allowsWithoutKeys(_ access: Access, to page: PagePermissions) -> Bool {
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
        return page.executable && !(smep && page.user && !mutated("smep-ignored"))
      case .read:
        return !isHeldBack(access, page)
      case .write:
        return (page.writable || !writeProtect || mutated("wp-ignored")) && !isHeldBack(access, page)
      }
    }
  }

  /// SMAP: supervisor data accesses to user pages, unless explicit with EFLAGS.AC set.
  @inline(__always) private func isHeldBack(_ access: Access, _ page: PagePermissions) -> Bool {
    smap && page.user && !((alignmentCheckFlag || mutated("smap-ignored")) && access.privilege == .supervisor)
  }

  /// Whether the page's key denies an access, whatever else permits it: any data access by AD, a write by WD, which a
  /// supervisor honours only with CR0.WP (SDM vol. 3, 4.6.2). Error codes tell it beside whatever else is wrong (4.7).
  public func deniesByKey(_ access: Access, to page: PagePermissions) -> Bool {
    guard access.kind != .fetch else { return false }
    let rights = (page.user ? keys.user : keys.supervisor) >> (2 &* UInt32(page.key))
    return rights & 1 != 0 || access.kind == .write && rights & 2 != 0 && (writeProtect || access.isUser)
  }
}

/// What protection keys deny: PKRU and IA32_PKRS as far as they are in force.
@frozen public struct ProtectionKeys: Equatable, Sendable {
  /// Of user pages: PKRU with CR4.PKE.
  public var user: UInt32
  /// Of supervisor pages: IA32_PKRS with CR4.PKS.
  public var supervisor: UInt32

  public init(user: UInt32 = 0, supervisor: UInt32 = 0) {
    self.user = user
    self.supervisor = supervisor
  }

  /// Whether any key denies anything.
  @inline(__always) public var areInUse: Bool { user | supervisor != 0 }
}
