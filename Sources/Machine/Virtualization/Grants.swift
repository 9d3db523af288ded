/// One access that the hypervisor resolves for the instruction that is executed again (assisted re-execution).
public struct Grant: Equatable, Sendable {
  public enum Target: Equatable, Sendable {
    /// Memory: the access goes to the host page at this address, whatever the tables say.
    case memory(HostPhysical)
    /// A device register that is read: the value.
    case deviceRead(UInt64)
    /// A device register that is written: the hardware notes the value (`Processor.takeGrantedStores`).
    case deviceWrite
  }

  /// The linear address: for memory any address in the page, for a device the first byte exactly.
  public var address: GuestVirtual
  public var target: Target
  /// Bytes of a device's register: an access across two pages has a grant for each part.
  public var width: UInt8

  public init(address: GuestVirtual, target: Target, width: UInt8) {
    self.address = address
    self.target = target
    self.width = width
  }
}

/// The grants of one instruction: one or two nearly always, for which nothing is allocated.
public struct Grants: RandomAccessCollection, Sendable {
  private var first: Grant?
  private var second: Grant?
  private var more: [Grant] = []
  public private(set) var endIndex = 0
  public var startIndex: Int { 0 }
  public var isEmpty: Bool { endIndex == 0 }

  public init() {}

  public subscript(number: Int) -> Grant {
    switch number {
    case 0: first!
    case 1: second!
    default: more[number - 2]
    }
  }

  public mutating func append(_ grant: Grant) {
    switch endIndex {
    case 0: first = grant
    case 1: second = grant
    default: more.append(grant)
    }
    endIndex += 1
  }
}

/// A store to a granted device register.
public struct GrantedStore: Equatable, Sendable {
  public var address: GuestVirtual
  public var width: UInt8
  public var value: UInt64
  /// The guest's time when the instruction began.
  public var time: UInt64
}
