import Foundation

/// What a vector instruction works on, for the host's processor and for the modelled one alike.
public struct VectorRegisters: Equatable, Sendable {
  /// 32 bytes of memory, to which RDI points.
  public var memory: [UInt64] = [0, 0, 0, 0]
  /// XMM0 to XMM3, low half first.
  public var xmm: [UInt64] = Array(repeating: 0, count: 8)
  /// The upper halves of YMM0 to YMM3; zeros on a host without AVX.
  public var upper: [UInt64] = Array(repeating: 0, count: 8)
  public var mxcsr: UInt32 = 0x1f80
  /// RAX, RCX, RDX, RBX.
  public var general: [UInt64] = [0, 0, 0, 0]
  /// The arithmetic flags; before the instruction ZF and PF are set.
  public var flags: UInt64 = 0x44

  public init() {}
}

/// One instruction on the host's own processor, with RDI pointing to aligned memory.
///
/// It runs in this process: with every exception of MXCSR masked nothing that it does can trap.
public final class HostInstruction {
  /// The host's features, by the names that Linux gives them.
  private static let features: Set<Substring> = {
    #if arch(x86_64) && os(Linux)
      let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      let line = info.split(separator: "\n").first { $0.hasPrefix("flags") } ?? ""
      return Set(line.split(separator: " "))
    #else
      return []
    #endif
  }()

  /// Whether the host has all of some features.
  public static func has(_ names: [String]) -> Bool { names.allSatisfy { features.contains(Substring($0)) } }

  /// Whether the host can execute SSE4.2.
  public static let isAvailable = has(["sse4_2", "ssse3"])
  public static let hasAVX = has(["avx"])

  private static let size = 4096
  private let code: UnsafeMutableRawPointer
  private let data: UnsafeMutableRawPointer

  // Where the data has what: memory, XMM0 to XMM3, MXCSR, the caller's MXCSR, flags, four general registers, YMM0 to
  // YMM3.
  private static let vectors = 64
  private static let control = 128
  private static let callersControl = 132
  private static let flags = 136
  private static let general = 144
  private static let wide = 192

  public init(_ instruction: [UInt8]) {
    let memory = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let memory, memory != MAP_FAILED else { preconditionFailure("no memory for code") }
    code = memory
    data = .allocate(byteCount: 512, alignment: 64)
    data.initializeMemory(as: UInt8.self, repeating: 0, count: 512)
    let bytes = Self.program(instruction)
    code.copyMemory(from: bytes, byteCount: bytes.count)
    precondition(mprotect(code, Self.size, PROT_READ | PROT_EXEC) == 0, "memory cannot be made executable")
  }

  deinit {
    munmap(code, Self.size)
    data.deallocate()
  }

  /// Loads everything, executes the instruction, stores everything.
  private static func program(_ instruction: [UInt8]) -> [UInt8] {
    func operand(_ opcode: [UInt8], _ register: Int, _ offset: Int) -> [UInt8] {
      opcode + [UInt8(0x87 | register << 3)] + withUnsafeBytes(of: Int32(offset).littleEndian) { Array($0) }
    }
    let numbers = 0..<4
    var program: [UInt8] = [0x53, 0x55]  // push %rbx; push %rbp
    program += operand([0x0f, 0xae], 3, callersControl)  // stmxcsr
    program += numbers.flatMap { operand([0x0f, 0x10], $0, vectors + 16 * $0) }  // movups
    if hasAVX { program += numbers.flatMap { operand([0xc5, 0xfc, 0x10], $0, wide + 32 * $0) } }  // vmovups
    program += operand([0x0f, 0xae], 2, control)  // ldmxcsr
    program += [0x31, 0xed]  // xor %ebp, %ebp
    program += numbers.flatMap { operand([0x48, 0x8b], $0, general + 8 * $0) }  // mov
    program += instruction
    program += numbers.flatMap { operand([0x48, 0x89], $0, general + 8 * $0) }
    program += [0x9c] + operand([0x8f], 0, flags)  // pushfq; pop
    program += operand([0x0f, 0xae], 3, control)
    program += numbers.flatMap { operand([0x0f, 0x11], $0, vectors + 16 * $0) }
    if hasAVX {
      program += numbers.flatMap { operand([0xc5, 0xfc, 0x11], $0, wide + 32 * $0) } + [0xc5, 0xf8, 0x77]  // vzeroupper
    }
    program += operand([0x0f, 0xae], 2, callersControl)
    return program + [0x5d, 0x5b, 0xc3]
  }

  /// Executes the instruction.
  public func run(_ before: VectorRegisters) -> VectorRegisters {
    for (index, word) in before.memory.enumerated() {
      data.storeBytes(of: word, toByteOffset: 8 * index, as: UInt64.self)
    }
    for (index, word) in before.xmm.enumerated() {
      data.storeBytes(of: word, toByteOffset: Self.vectors + 8 * index, as: UInt64.self)
    }
    for number in 0..<4 {
      for word in 0..<2 {
        let at = Self.wide + 32 * number + 8 * word
        data.storeBytes(of: before.xmm[2 * number + word], toByteOffset: at, as: UInt64.self)
        data.storeBytes(of: before.upper[2 * number + word], toByteOffset: at + 16, as: UInt64.self)
      }
    }
    for (index, word) in before.general.enumerated() {
      data.storeBytes(of: word, toByteOffset: Self.general + 8 * index, as: UInt64.self)
    }
    data.storeBytes(of: before.mxcsr, toByteOffset: Self.control, as: UInt32.self)
    typealias Function = @convention(c) (UnsafeMutableRawPointer) -> Void
    unsafeBitCast(code, to: Function.self)(data)
    var after = VectorRegisters()
    after.memory = (0..<4).map { data.load(fromByteOffset: 8 * $0, as: UInt64.self) }
    after.xmm = (0..<8).map { data.load(fromByteOffset: Self.vectors + 8 * $0, as: UInt64.self) }
    if Self.hasAVX {
      after.upper = (0..<8).map {
        data.load(fromByteOffset: Self.wide + 32 * ($0 / 2) + 16 + 8 * ($0 % 2), as: UInt64.self)
      }
    }
    after.general = (0..<4).map { data.load(fromByteOffset: Self.general + 8 * $0, as: UInt64.self) }
    after.mxcsr = data.load(fromByteOffset: Self.control, as: UInt32.self)
    after.flags = data.load(fromByteOffset: Self.flags, as: UInt64.self) & 0x8d5
    return after
  }
}
