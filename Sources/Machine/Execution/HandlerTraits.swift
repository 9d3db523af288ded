/// What the block builder has to know of a handler.
struct HandlerTraits {
  /// It is the last operation of a block, and a tail follows.
  var endsBlock = false
  /// Data accesses through the hit path.
  var accesses: UInt8 = 0
  /// Bytes of its memory operand, and whether it writes there.
  var width: UInt8 = 1
  var writesMemory = false
  /// It may leave the block before it is done: everything that can be seen must stand by then.
  var mayStop = false
  var readsFlags = false
  /// It writes all six flags and nothing can go wrong before it does.
  var writesAllFlags = false
  /// The same without flags, to be used where nobody reads them.
  var quiet: Handler?
  /// What a conditional jump after it can rely on.
  var producer = FlagProducer.other

  enum FlagProducer { case none, subtraction, logic, counter, other }

  /// By raw value of the handler.
  static let table: [HandlerTraits] = zip(Handler.allCases, names).map(traits)

  private static let names = Handler.allCases.map { "\($0)" }
  private static let byName = Dictionary(uniqueKeysWithValues: zip(names, Handler.allCases))

  private static func traits(of handler: Handler, _ name: String) -> HandlerTraits {
    var traits = HandlerTraits()
    traits.producer = .none
    let updates = ["add", "or", "and", "sub", "xor"]
    let form = name.drop { $0.isLowercase }
    let verb = name.prefix { $0.isLowercase }

    switch handler {
    case .jump, .jumpR64, .fallThrough, .invalidOpcode, .tooLong, .unsupported, .mark:
      traits.endsBlock = true
    case .calloutTerminal:
      traits.endsBlock = true
      traits.mayStop = true
      traits.readsFlags = true
    case .call64, .ret64, .jumpM64, .callR64:
      traits.endsBlock = true
      traits.mayStop = true
      traits.accesses = 1
    case .callM64:
      traits.endsBlock = true
      traits.mayStop = true
      traits.accesses = 2
    case .callout:
      traits.mayStop = true
      traits.readsFlags = true
      traits.producer = .other
    case .address, .stale:
      traits.mayStop = true
    case .vector, .doubleCompareRR, .doubleCompareRM:
      traits.mayStop = true
      traits.readsFlags = handler == .vector
      traits.producer = .other
      traits.accesses = handler == .doubleCompareRM ? 1 : 0
    case .vectorLoad, .vectorLoadAligned, .vectorStore, .vectorStoreAligned, .vectorLoadLow32, .vectorLoadLow64,
      .vectorStoreLow32, .vectorStoreLow64, .integerRM, .shuffleRM, .doubleAddRM, .doubleSubtractRM,
      .doubleMultiplyRM, .doubleDivideRM:
      traits.mayStop = true
      traits.accesses = 1
    // MXCSR may ask for an exception.
    case .doubleAddRR, .doubleSubtractRR, .doubleMultiplyRR, .doubleDivideRR, .doubleFromR64, .doubleToR32,
      .doubleToR64:
      traits.mayStop = true
    // COMISS makes flags.
    case .floatRR, .floatRM32, .floatRM64, .floatRM128:
      traits.mayStop = true
      traits.readsFlags = true
      traits.producer = .other
      traits.accesses = handler == .floatRR ? 0 : 1
    case .push64, .pushI64, .pop64, .leave64:
      traits.mayStop = true
      traits.accesses = 1
    case .pushM64:
      traits.mayStop = true
      traits.accesses = 2
    case .setcc, .cmov32, .cmov64:
      traits.readsFlags = true
    case .shlRC32, .shlRC64, .shrRC32, .shrRC64, .sarRC32, .sarRC64:
      // A count of 0 leaves the flags as they were.
      traits.readsFlags = true
      traits.producer = .other
    case .incR32, .incR64, .decR32, .decR64:
      traits.readsFlags = true
      traits.producer = .counter
    case .btRI32, .btRR32, .btRI64, .btRR64, .rolRI32, .rolRI64, .rorRI32, .rorRI64:
      // They leave some flags as they were.
      traits.readsFlags = true
      traits.producer = .other
    default:
      if name.hasPrefix("jcc") {
        traits.endsBlock = true
        traits.readsFlags = true
      }
    }

    if let bits = UInt8(form.drop { !$0.isNumber }.prefix { $0.isNumber }) { traits.width = bits / 8 }
    traits.writesMemory =
      name.hasPrefix("store") || updates.contains(String(verb)) && (form.hasPrefix("MR") || form.hasPrefix("MI"))
    if name.hasPrefix("load") || name.hasPrefix("store") {
      traits.mayStop = true
      traits.accesses = 1
    }
    let compares = ["cmp", "test"]
    if updates.contains(String(verb)) || compares.contains(String(verb)) {
      let inMemory = form.hasPrefix("RM") || form.hasPrefix("MR") || form.hasPrefix("MI")
      if inMemory {
        traits.mayStop = true
        // A read-modify-write is one look-up.
        traits.accesses = 1
      }
      if !name.hasSuffix("Quiet") {
        traits.writesAllFlags = !inMemory
        traits.producer = verb == "sub" || verb == "cmp" ? .subtraction : verb == "add" ? .other : .logic
      }
    }
    if ["adc", "sbb", "neg", "imul"].contains(String(verb)) {
      traits.producer = .other
      traits.writesAllFlags = !form.hasPrefix("RM")
      traits.readsFlags = verb == "adc" || verb == "sbb"
      if verb == "neg" { traits.producer = .subtraction }
      if form.hasPrefix("RM") {
        traits.mayStop = true
        traits.accesses = 1
      }
    }
    if ["shl", "shr", "sar"].contains(String(verb)) && form.hasPrefix("RI") && !name.hasSuffix("Quiet") {
      traits.writesAllFlags = true
      traits.producer = .other
    }
    traits.quiet = byName[name + "Quiet"]
    return traits
  }

  /// The conditional jump that relies on a producer, or nil where only the general one will do.
  static func specialised(_ condition: Condition, after producer: FlagProducer) -> Handler? {
    switch producer {
    case .subtraction:
      switch condition {
      case .b: .jccSubB
      case .ae: .jccSubAe
      case .e: .jccSubE
      case .ne: .jccSubNe
      case .be: .jccSubBe
      case .a: .jccSubA
      case .l: .jccSubL
      case .ge: .jccSubGe
      case .le: .jccSubLe
      case .g: .jccSubG
      default: nil
      }
    case .logic:
      // After a logical instruction CF and OF are clear.
      switch condition {
      case .e, .be: .jccLogicE
      case .ne, .a: .jccLogicNe
      case .s, .l: .jccLogicS
      case .ns, .ge: .jccLogicNs
      case .le: .jccLogicLe
      case .g: .jccLogicG
      default: nil
      }
    case .counter:
      // The flags hold the result, as after a logical instruction.
      switch condition {
      case .e: .jccLogicE
      case .ne: .jccLogicNe
      case .s: .jccLogicS
      case .ns: .jccLogicNs
      default: nil
      }
    case .none, .other: nil
    }
  }

  /// A comparison or TEST and the conditional jump behind it as one operation, where there is one.
  static func fused(_ first: Handler, _ second: Handler) -> Handler? {
    fusions[UInt32(first.rawValue) << 16 | UInt32(second.rawValue)]
  }

  private static let fusions: [UInt32: Handler] = {
    var table: [UInt32: Handler] = [:]
    for (handler, name) in zip(Handler.allCases, names) {
      guard let jcc = name.firstRange(of: "Jcc") else { continue }
      let kind = name.hasPrefix("cmp") ? "Sub" : "Logic"
      guard let first = byName[String(name[..<jcc.lowerBound])],
        let second = byName["jcc\(kind)\(name[jcc.upperBound...])"]
      else { continue }
      table[UInt32(first.rawValue) << 16 | UInt32(second.rawValue)] = handler
    }
    return table
  }()
}
