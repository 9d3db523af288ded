/// What an access does to the byte that it names.
@frozen public enum AccessKind: UInt8, Sendable, CaseIterable {
  case read, write, fetch
}

/// On whose behalf an access is made (SDM vol. 3, 4.6.1).
@frozen public enum Privilege: UInt8, Sendable, CaseIterable {
  /// CPL 0 to 2, an explicit access.
  case supervisor
  /// CPL 3.
  case user
  /// The processor's own access to a system structure (GDT, IDT, TSS), supervisor at every CPL; SMAP's EFLAGS.AC does
  /// not excuse it.
  case implicitSupervisor
}

/// One access, as the permission check and the walker see it.
@frozen public struct Access: Equatable, Sendable {
  public var kind: AccessKind
  public var privilege: Privilege

  @inlinable public init(_ kind: AccessKind, _ privilege: Privilege) {
    self.kind = kind
    self.privilege = privilege
  }

  @inlinable public var isWrite: Bool { kind == .write }
  @inlinable public var isFetch: Bool { kind == .fetch }
  @inlinable public var isUser: Bool { privilege == .user }
}
