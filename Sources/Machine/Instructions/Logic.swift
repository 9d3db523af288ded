/// Bitwise logic (SDM vol. 2). AF is undefined after all but NOT; silicon clears it.
extension Processor {
  func and(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, b, width in (a & b, .logic(a & b, width: width)) }
  }

  func or(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, b, width in (a | b, .logic(a | b, width: width)) }
  }

  func xor(_ op: UnsafePointer<Operation>) throws(Stopped) {
    try update(op) { a, b, width in (a ^ b, .logic(a ^ b, width: width)) }
  }

  func test(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let (a, b) = try operands(op, form)
    s.pointee.flags = .logic(a & b, width: form.width)
  }

  /// NOT changes no flag.
  func not(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let flags = s.pointee.flags
    try update(op) { a, _, _ in (~a, flags) }
  }
}
