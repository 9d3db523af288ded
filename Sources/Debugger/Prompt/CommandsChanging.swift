import Machine

extension CommandTable {
  static let changing: [Command] = [
    Command(
      "set", ["set var"], "REGISTER|{TYPE} ADDRESS = EXPRESSION", .changing,
      "change a register or memory; what the history held of the time after now is forgotten",
      detail:
        "`set $rax = 5`, `set {u32} 0x1000 = 1`, `set {p64} 0x2000 = 0` for guest-physical memory, `set *0x1000 = 7`.",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      try prompt.change(rest)
    }
  ]
}

extension Prompt {
  func change(_ text: String) throws(PromptError) {
    guard let sign = text.firstIndex(of: "=") else { throw PromptError("set WHAT = VALUE") }
    let what = String(text[..<sign]).split(separator: " ").joined(separator: " ")
    let new = try value(String(text[text.index(after: sign)...]))
    let name = what.drop { $0 == "$" }.lowercased()
    if !what.hasPrefix("{"), !what.hasPrefix("*") {
      var isKnown = false
      session.changeState { isKnown = RegisterName.set(name, new, &$0) }
      guard isKnown else { throw PromptError("no register \"\(name)\" that can be set") }
      return
    }
    guard case .memory(let width, let isPhysical, let place) = try expression(what) else {
      throw PromptError("set a register, *ADDRESS or {TYPE} ADDRESS")
    }
    let address: UInt64
    do throws(Expression.Failure) {
      address = try place.value(in: session)
    } catch {
      throw PromptError(error.description)
    }
    let bytes = (0..<width).map { UInt8(truncatingIfNeeded: new >> UInt64(8 * $0)) }
    let isWritten =
      isPhysical ? session.writePhysical(bytes, at: GuestPhysical(address)) : session.write(bytes, at: address)
    guard isWritten else { throw PromptError("no memory at \(hex(address))") }
  }
}
