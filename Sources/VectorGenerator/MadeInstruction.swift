#if os(Linux) && arch(x86_64)
  import Machine
  import Vectors

  /// An instruction that is ready for the host's processor.
  protocol MadeInstruction: CustomStringConvertible {
    var bytes: [UInt8] { get }
    var size: CodeSize { get }
    var state: HostExecutor.State { get }
    /// Memory that is not zero, the instruction apart.
    var memory: [ListedByte] { get }
    /// Whether a single-step trap has to end it: it may leave the way it came.
    var steps: Bool { get }
    /// Operand size in bytes, and the count of a shift as encoded, 1 for others: as far as `UndefinedFlags` asks.
    var width: Int { get }
    var count: UInt64 { get }
    var usesVectors: Bool { get }
    var usesX87: Bool { get }
    /// Whether the manual leaves it open if #PF is raised.
    var mayFaultAtWill: Bool { get }
    /// Whether the manual leaves the result open.
    func isOpen(_ mnemonic: String) -> Bool
  }
#endif
