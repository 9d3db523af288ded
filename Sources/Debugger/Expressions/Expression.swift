import Machine

/// An expression of the prompt, of 64-bit numbers: C's operators, registers as `$rax` or `rax`, symbols as their addresses,
/// `*address`, `{u32} address`, and the functions of `ExpressionFunction`.
public indirect enum Expression: Sendable {
  case number(UInt64)
  case name(String)
  case unary(String, Expression)
  case binary(String, Expression, Expression)
  /// Memory: bytes, whether the address is guest-physical, the address.
  case memory(width: Int, isPhysical: Bool, Expression)
  case call(String, [Argument])

  /// A function's argument: a value, or a word such as a cause's name.
  public enum Argument: Sendable {
    case value(Expression)
    case word(String)
  }

  /// Why an expression has no value, for people.
  public struct Failure: Error, CustomStringConvertible {
    public var description: String
  }

  /// - Throws: what is wrong with the text.
  public init(_ text: String) throws(Failure) {
    var parser = ExpressionParser(text)
    self = try parser.whole()
  }

  /// Looks whether all names are known.
  /// - Throws: which is not.
  public func checkNames(in session: Session) throws(Failure) {
    switch self {
    case .number: break
    case .name(let name): _ = try session.value(ofName: name)
    case .unary(_, let operand): try operand.checkNames(in: session)
    case .binary(_, let left, let right):
      try left.checkNames(in: session)
      try right.checkNames(in: session)
    case .memory(_, _, let address): try address.checkNames(in: session)
    case .call(let name, let arguments):
      _ = try Self.function(name)
      for case .value(let argument) in arguments { try argument.checkNames(in: session) }
    }
  }

  private static func function(_ name: String) throws(Failure) -> ExpressionFunction {
    guard let function = ExpressionFunction.all.first(where: { $0.name == name }) else {
      throw Failure(
        description: "no function \(name); there are \(ExpressionFunction.all.map(\.name).joined(separator: ", "))")
    }
    return function
  }

  /// The value in a session's present state. Nothing is changed.
  public func value(in session: Session) throws(Failure) -> UInt64 {
    switch self {
    case .number(let value): return value
    case .name(let name): return try session.value(ofName: name)
    case .unary(let sign, let operand):
      let value = try operand.value(in: session)
      switch sign {
      case "-": return 0 &- value
      case "~": return ~value
      default: return value == 0 ? 1 : 0
      }
    case .binary(let sign, let left, let right): return try Self.binary(sign, left, right, session)
    case .memory(let width, let isPhysical, let address):
      let at = try address.value(in: session)
      let value =
        isPhysical
        ? session.physicalNumber(at: GuestPhysical(at), width: width) : session.number(at: at, width: width)
      guard let value else {
        throw Failure(description: "\(isPhysical ? "no memory" : "nothing mapped") at 0x\(String(at, radix: 16))")
      }
      return value
    case .call(let name, let arguments):
      return try Self.function(name).value(session, arguments)
    }
  }

  private static func binary(
    _ sign: String, _ left: Expression, _ right: Expression, _ session: Session
  ) throws(Failure) -> UInt64 {
    let a = try left.value(in: session)
    // As in C, what decides already is not followed by the other side.
    if sign == "&&" && a == 0 { return 0 }
    if sign == "||" && a != 0 { return 1 }
    let b = try right.value(in: session)
    switch sign {
    case "+": return a &+ b
    case "-": return a &- b
    case "*": return a &* b
    case "/", "%":
      guard b != 0 else { throw Failure(description: "division by zero") }
      return sign == "/" ? a / b : a % b
    case "&": return a & b
    case "|": return a | b
    case "^": return a ^ b
    case "<<": return b < 64 ? a << b : 0
    case ">>": return b < 64 ? a >> b : 0
    case "==": return a == b ? 1 : 0
    case "!=": return a != b ? 1 : 0
    case "<": return a < b ? 1 : 0
    case "<=": return a <= b ? 1 : 0
    case ">": return a > b ? 1 : 0
    case ">=": return a >= b ? 1 : 0
    default: return b != 0 ? 1 : 0
    }
  }
}
