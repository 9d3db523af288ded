/// What a translation belongs to besides its PCID: a virtual processor (VPID, or AMD's ASID), and the nested tables that had
/// a part in it. Those without are linear mappings, those with are combined ones (SDM vol. 3, 29.4.1).
struct TranslationSpace: Equatable, Sendable {
  var vpid: UInt16
  /// The nested tables' root (EP4TA); nil where translations have one dimension.
  var root: HostPhysical?
}

/// Numbers of three bits for what a key has no room for: a name is given one when it is first used, and loses it to a
/// ninth, the one used longest ago first.
struct KeyNumbers<Name: Equatable & Sendable>: Sendable {
  static var count: Int { 8 }

  private var names: [Name?] = Array(repeating: nil, count: KeyNumbers.count)
  private var uses = [UInt64](repeating: 0, count: KeyNumbers.count)
  private var time: UInt64 = 0
  private var last = 0

  init() {}

  /// What has a number; nil for one that is free.
  func name(_ number: Int) -> Name? { names[number & (KeyNumbers.count - 1)] }

  /// The number of a name.
  ///
  /// - Parameter taking: called with a number that its holder loses.
  @inline(__always) mutating func number(of name: Name, taking: (Int) -> Void) -> Int {
    names[last] == name ? last : find(name, taking)
  }

  @inline(never) private mutating func find(_ name: Name, _ taking: (Int) -> Void) -> Int {
    time += 1
    if let known = names.firstIndex(of: name) {
      last = known
    } else if let free = names.firstIndex(where: { $0 == nil }) {
      last = free
    } else {
      last = uses.indices.min { uses[$0] < uses[$1] } ?? 0
      taking(last)
    }
    names[last] = name
    uses[last] = time
    return last
  }

  /// The number of a name that has one.
  func known(_ name: Name) -> Int? { names.firstIndex(of: name) }

  /// The numbers of all names that are meant.
  @inline(__always) func numbers(where isMeant: (Name) -> Bool) -> NumberSet {
    var numbers = NumberSet()
    for number in 0..<KeyNumbers.count {
      if let name = names[number], isMeant(name) { numbers.bits |= 1 << UInt8(number) }
    }
    return numbers
  }
}

/// Some of eight numbers, from the least on.
struct NumberSet: Sequence, IteratorProtocol {
  fileprivate(set) var bits: UInt8 = 0

  func contains(_ number: Int) -> Bool { bits >> UInt8(number & 7) & 1 != 0 }

  mutating func next() -> Int? {
    guard bits != 0 else { return nil }
    defer { bits &= bits &- 1 }
    return bits.trailingZeroBitCount
  }
}

/// Numbers and names of what this translation hardware holds.
extension TranslationUnit {
  @inline(__always) func number(of space: TranslationSpace) -> Int {
    spaces.number(of: space) { dropSpace($0) }
  }

  @inline(__always) func number(ofRoot root: HostPhysical) -> Int {
    roots.number(of: root) { dropRoot($0) }
  }

  /// Drops everything that was made from linear addresses in a space.
  func dropSpace(_ number: Int) {
    drop(where: TranslationKey.spaceMask, equals: TranslationKey.tag(space: number, pcid: 0))
  }

  /// Drops everything that is keyed by guest-physical addresses of one root.
  func dropRoot(_ number: Int) {
    for array in [nestedTLB, nestedPDE, nestedPDPTE] {
      array.dropAll(where: TranslationKey.spaceMask, equals: TranslationKey.tag(space: number, pcid: 0))
    }
    walkCache.flush()
  }

  /// Drops what was made from linear addresses and has certain bits in its key. Who calls forgets what instructions are
  /// being fetched from.
  func drop(where mask: UInt64, equals wanted: UInt64) {
    for array in [pde, pdpte, pml4e] { array.dropAll(where: mask, equals: wanted) }
    for buffer in [code, second, data] {
      for array in buffer.distinct { array.dropAll(where: mask, equals: wanted) }
    }
    walkCache.flush()
    forgetVerdicts()
  }
}
