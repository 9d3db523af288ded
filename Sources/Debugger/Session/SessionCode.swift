import Machine

/// An instruction as it stands in memory.
public struct Instruction: Sendable {
  public var address: UInt64
  public var bytes: [UInt8]
  public var text: String
  public var length: Int { bytes.count }

  private var mnemonic: Substring { text.prefix { $0 != " " } }
  public var isCall: Bool { mnemonic == "call" || mnemonic == "lcall" }
  public var isReturn: Bool { mnemonic.hasPrefix("ret") || mnemonic.hasPrefix("iret") || mnemonic.hasPrefix("lret") }
}

/// Code, and the way that led to it.
extension Session {
  /// The instruction at a linear address, as the selected processor would decode it now; nil where there is none.
  public func instruction(at address: UInt64) -> Instruction? {
    var bytes: [UInt8] = []
    while bytes.count < 15 {
      let at = address &+ UInt64(bytes.count)
      let piece = min(15 - bytes.count, 4096 - Int(at & 0xfff))
      guard let part = read(at, count: piece) else { break }
      bytes += part
    }
    guard !bytes.isEmpty else { return nil }
    let state = processor.state
    let rip = state.codeSize == .bits64 ? address : (address &- state[.cs].base) & 0xffff_ffff
    guard let (text, length) = processor.disassemble(bytes, rip: rip, size: state.codeSize) else { return nil }
    return Instruction(address: address, bytes: Array(bytes.prefix(length)), text: named(text))
  }

  /// An operand that is the address of a symbol, with its name.
  private func named(_ text: String) -> String {
    let words = text.split(separator: " ")
    guard words.count == 2, words[1].hasPrefix("0x"), let target = UInt64(words[1].dropFirst(2), radix: 16),
      let name = symbols.name(of: target)
    else { return text }
    return "\(text) <\(name)>"
  }

  /// One frame of a backtrace.
  public struct Frame: Sendable {
    public var pc: UInt64
    /// Where the frame's return address lies; nil for the innermost one.
    public var slot: UInt64?
  }

  /// The linear address of the top of the stack, and the bytes of what code of the running size pushes.
  public var stackTop: (address: UInt64, width: Int) {
    let state = processor.state
    let pointer = state.slots[Int(Slot.rsp)]
    switch state.codeSize {
    case .bits64: return (pointer, 8)
    case .bits32: return ((pointer & 0xffff_ffff) &+ state[.ss].base, 4)
    case .bits16: return ((pointer & 0xffff) &+ state[.ss].base, 2)
    }
  }

  /// The chain of callers, by frame pointers. A function that keeps none is told from the code: right after its entry the
  /// return address is at the top of the stack.
  public func backtrace(limit: Int = 64) -> [Frame] {
    let (stack, width) = stackTop
    let state = processor.state
    let mask: UInt64 = width == 8 ? .max : width == 4 ? 0xffff_ffff : 0xffff
    let base = width == 8 ? 0 : state[.ss].base
    var frames = [Frame(pc: programCounter, slot: nil)]
    var pointer = (state.slots[Int(Slot.rbp)] & mask) &+ base
    // At a function's first instruction, or at its RET, RBP is the caller's still.
    let isAtEntry = symbols.symbol(at: programCounter).map { $0.offset == 0 } ?? false
    if isAtEntry || instruction(at: programCounter)?.isReturn ?? false, let pc = number(at: stack, width: width) {
      frames.append(Frame(pc: pc, slot: stack))
    }
    while frames.count < limit, pointer & UInt64(width - 1) == 0, pointer >= stack, pointer &- stack < 1 << 20,
      let pc = number(at: pointer &+ UInt64(width), width: width), let next = number(at: pointer, width: width),
      pc != 0, instruction(at: pc) != nil
    {
      frames.append(Frame(pc: pc, slot: pointer &+ UInt64(width)))
      let following = (next & mask) &+ base
      guard following > pointer else { break }
      pointer = following
    }
    return frames
  }
}
