/// A condition as gdb compiles it for the target (the manual of gdb, appendix F).
///
/// Whatever the bytes are, evaluation ends: after so many operations, or where the stack or the code would be left.
public struct AgentExpression: Sendable {
  private let code: [UInt8]

  public init(_ code: [UInt8]) { self.code = code }

  /// What an expression asks of the machine; nil: there is no such thing.
  public struct Target {
    public var register: (Int) -> UInt64?
    public var memory: (_ address: UInt64, _ width: Int) -> UInt64?

    public init(register: @escaping (Int) -> UInt64?, memory: @escaping (UInt64, Int) -> UInt64?) {
      self.register = register
      self.memory = memory
    }
  }

  private static let deepest = 128
  private static let longest = 10_000

  /// The value; nil if there is none.
  public func value(_ target: Target) -> UInt64? {
    var evaluation = Evaluation(code: code)
    for _ in 0..<Self.longest {
      switch evaluation.step(target) {
      case .goesOn: continue
      case .ended: return evaluation.stack.last
      case .failed: return nil
      }
    }
    return nil
  }

  private enum Progress { case goesOn, ended, failed }

  private struct Evaluation {
    let code: [UInt8]
    var at = 0
    var stack: [UInt64] = []

    init(code: [UInt8]) { self.code = code }

    /// A big-endian operand of an operation.
    private mutating func operand(_ bytes: Int) -> UInt64? {
      guard at + bytes <= code.count else { return nil }
      defer { at += bytes }
      return code[at..<at + bytes].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func push(_ value: UInt64?) -> Progress {
      guard let value, stack.count < AgentExpression.deepest else { return .failed }
      stack.append(value)
      return .goesOn
    }

    private mutating func unary(_ body: (UInt64) -> UInt64?) -> Progress {
      guard let value = stack.popLast() else { return .failed }
      return push(body(value))
    }

    private mutating func binary(_ body: (UInt64, UInt64) -> UInt64?) -> Progress {
      guard stack.count >= 2, let right = stack.popLast(), let left = stack.popLast() else { return .failed }
      return push(body(left, right))
    }

    private mutating func jump(_ target: UInt64?, if isTaken: Bool) -> Progress {
      guard let target else { return .failed }
      if isTaken { at = Int(target) }
      return .goesOn
    }

    private static func divided(_ left: UInt64, _ right: UInt64) -> (Int64, Int64)? {
      guard right != 0 else { return nil }
      let (left, right) = (Int64(bitPattern: left), Int64(bitPattern: right))
      return (
        left.dividedReportingOverflow(by: right).partialValue,
        left.remainderReportingOverflow(dividingBy: right).partialValue
      )
    }

    mutating func step(_ target: Target) -> Progress {
      guard let operation = operand(1) else { return .failed }
      switch operation {
      case 0x02: return binary(&+)
      case 0x03: return binary(&-)
      case 0x04: return binary(&*)
      case 0x05: return binary { Self.divided($0, $1).map { UInt64(bitPattern: $0.0) } }
      case 0x06: return binary { $1 == 0 ? nil : $0 / $1 }
      case 0x07: return binary { Self.divided($0, $1).map { UInt64(bitPattern: $0.1) } }
      case 0x08: return binary { $1 == 0 ? nil : $0 % $1 }
      case 0x09: return binary { $1 < 64 ? $0 << $1 : 0 }
      case 0x0a: return binary { UInt64(bitPattern: Int64(bitPattern: $0) >> Int64(min($1, 63))) }
      case 0x0b: return binary { $1 < 64 ? $0 >> $1 : 0 }
      case 0x0e: return unary { $0 == 0 ? 1 : 0 }
      case 0x0f: return binary(&)
      case 0x10: return binary(|)
      case 0x11: return binary(^)
      case 0x12: return unary(~)
      case 0x13: return binary { $0 == $1 ? 1 : 0 }
      case 0x14: return binary { Int64(bitPattern: $0) < Int64(bitPattern: $1) ? 1 : 0 }
      case 0x15: return binary { $0 < $1 ? 1 : 0 }
      case 0x16:
        guard let bits = operand(1) else { return .failed }
        return unary { Self.extended($0, bits, isSigned: true) }
      case 0x2a:
        guard let bits = operand(1) else { return .failed }
        return unary { Self.extended($0, bits, isSigned: false) }
      case 0x17: return unary { target.memory($0, 1) }
      case 0x18: return unary { target.memory($0, 2) }
      case 0x19: return unary { target.memory($0, 4) }
      case 0x1a: return unary { target.memory($0, 8) }
      case 0x20:
        guard let condition = stack.popLast() else { return .failed }
        return jump(operand(2), if: condition != 0)
      case 0x21: return jump(operand(2), if: true)
      case 0x22: return push(operand(1))
      case 0x23: return push(operand(2))
      case 0x24: return push(operand(4))
      case 0x25: return push(operand(8))
      case 0x26: return push(operand(2).flatMap { target.register(Int($0)) })
      case 0x27: return stack.isEmpty ? .failed : .ended
      case 0x28: return push(stack.last)
      case 0x29: return stack.popLast() == nil ? .failed : .goesOn
      case 0x2b:
        guard stack.count >= 2 else { return .failed }
        stack.swapAt(stack.count - 1, stack.count - 2)
        return .goesOn
      case 0x32:
        guard let depth = operand(1), depth < stack.count else { return .failed }
        return push(stack[stack.count - 1 - Int(depth)])
      case 0x33:
        // The top goes below the two others.
        guard stack.count >= 3 else { return .failed }
        let top = stack.removeLast()
        stack.insert(top, at: stack.count - 2)
        return .goesOn
      // Floating point and tracing are not offered.
      default: return .failed
      }
    }

    private static func extended(_ value: UInt64, _ bits: UInt64, isSigned: Bool) -> UInt64 {
      guard bits > 0, bits < 64 else { return value }
      let shift = 64 - bits
      return isSigned
        ? UInt64(bitPattern: Int64(bitPattern: value << shift) >> Int64(shift)) : (value << shift) >> shift
    }
  }
}
