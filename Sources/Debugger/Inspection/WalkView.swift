import Emulator
import Hypervisor
import Machine

/// A walk as a debugger shows it: every reference with what it means. Nothing is charged, and nothing changes.
public struct WalkView: Sendable {
  /// One reference.
  public struct Step: Sendable {
    public var reference: WalkReference
    /// Where the entry is in the guest's physical memory; nil for entries of the hypervisor's tables.
    public var physical: GuestPhysical?
    /// The cache that would serve it now, and at what price.
    public var cache: String
    public var cycles: UInt64
  }

  public var steps: [Step]
  public var result: WalkResult
  /// Levels of the first dimension.
  public var levels: Int

  public var cycles: UInt64 { steps.reduce(0) { $0 &+ $1.cycles } }
}

/// Whether an access would succeed, and if not, with which error code.
public struct Verdict: Sendable {
  public var access: Access
  public var errorCode: UInt32?
  /// The hardware would exit to the hypervisor first.
  public var exits: Bool
}

/// A cached translation of an address, and whether the tables still say it; nil: it is of another context.
public struct CachedView: Sendable {
  public var entry: CachedTranslation
  public var isCurrent: Bool?
}

extension Session {
  /// The walk by the tables that the hardware walks, from the root: the guest's own, through nested tables where there
  /// are some, or the shadow tables.
  public func hardwareWalk(_ address: UInt64) -> WalkView {
    view(processor.look(GuestVirtual(address)), levels: processor.walkPlan.levels)
  }

  /// The walk by the guest's own tables, in the guest's own terms.
  public func guestWalk(_ address: UInt64) -> RecordedWalk {
    if let hypervisor = machine.hypervisor {
      return processor.lookInGuest(GuestVirtual(address), frames: hypervisor.frameMap)
    }
    return processor.look(GuestVirtual(address))
  }

  /// The same with its references described.
  public func guestWalkView(_ address: UInt64) -> WalkView {
    view(guestWalk(address), levels: processor.guestWalkPlan.levels)
  }

  private func view(_ walk: RecordedWalk, levels: Int) -> WalkView {
    let steps = walk.references.map { reference in
      let (cache, cycles) = processor.reference(to: reference.address)
      return WalkView.Step(
        reference: reference, physical: reference.dimension == .first ? guestAddress(of: reference.address) : nil,
        cache: cache, cycles: cycles)
    }
    return WalkView(steps: steps, result: walk.result, levels: levels)
  }

  /// What becomes of each kind of access, as the guest sees it.
  public func verdicts(_ address: UInt64) -> [Verdict] {
    [Privilege.supervisor, .user].flatMap { privilege in
      AccessKind.allCases.map { verdict(address, Access($0, privilege)) }
    }
  }

  private func verdict(_ address: UInt64, _ access: Access) -> Verdict {
    var verdict = Verdict(access: access, errorCode: nil, exits: false)
    let hardware = processor.peek(GuestVirtual(address), access).result
    guard let hypervisor = machine.hypervisor else {
      if case .fault(let fault) = hardware { verdict.errorCode = fault.errorCode }
      return verdict
    }
    let guest = processor.walkGuest(GuestVirtual(address), access, frames: hypervisor.frameMap).result
    if case .fault(let fault) = guest { verdict.errorCode = fault.errorCode }
    switch hardware {
    case .mapped: break
    // A fault is the guest's that is found in the guest's own tables.
    case .fault(let fault): verdict.exits = hypervisor.shadowPages != nil && !fault.isBehindSwitch
    case .nestedFault: verdict.exits = true
    }
    return verdict
  }

  /// Everything that the selected processor's translation hardware holds.
  public func cached() -> [CachedView] {
    processor.cachedTranslations.map { CachedView(entry: $0, isCurrent: processor.isCurrent($0)) }
  }

  /// What of it serves a linear address in the running context.
  public func cached(_ address: UInt64) -> [CachedView] {
    cached().filter {
      !$0.entry.holder.isNested && $0.isCurrent != nil
        && $0.entry.address >> $0.entry.shift == address >> $0.entry.shift
    }
  }
}

extension WalkReference {
  /// What a level's entry is called (SDM vol. 3, 4.2).
  public var entryName: String {
    switch level {
    case 5: "PML5E"
    case 4: "PML4E"
    case 3: "PDPTE"
    case 2: "PDE"
    default: "PTE"
    }
  }
}

/// The bits of an entry in words.
public enum EntryText {
  /// Of the guest's tables, shadow tables and AMD's nested tables.
  public static func ordinary(_ entry: UInt64, level: Int) -> String {
    guard entry & EntryBit.present != 0 else { return "not present" }
    var words = ["P", entry & EntryBit.writable != 0 ? "RW" : "RO", entry & EntryBit.user != 0 ? "US" : "S"]
    let isLeaf = level == 1 || level <= 3 && entry & EntryBit.large != 0
    for (bit, name) in [(EntryBit.writeThrough, "PWT"), (EntryBit.cacheDisable, "PCD"), (EntryBit.accessed, "A")]
    where entry & bit != 0 {
      words.append(name)
    }
    if isLeaf && entry & EntryBit.dirty != 0 { words.append("D") }
    if level > 1 && isLeaf { words.append("PS") }
    if isLeaf && entry & EntryBit.global != 0 { words.append("G") }
    if entry & EntryBit.noExecute != 0 { words.append("XD") }
    if isLeaf && EntryBit.key(entry) != 0 { words.append("key \(EntryBit.key(entry))") }
    return words.joined(separator: " ")
  }

  /// Of Intel's extended page tables.
  public static func extended(_ entry: UInt64, level: Int) -> String {
    guard entry & 7 != 0 else { return "not present" }
    var words = [
      (entry & EPTBit.read != 0 ? "R" : "-") + (entry & EPTBit.write != 0 ? "W" : "-")
        + (entry & EPTBit.execute != 0 ? "X" : "-")
    ]
    if entry & EPTBit.accessed != 0 { words.append("A") }
    if entry & EPTBit.dirty != 0 { words.append("D") }
    if level > 1 && entry & EPTBit.large != 0 { words.append("PS") }
    return words.joined(separator: " ")
  }
}
