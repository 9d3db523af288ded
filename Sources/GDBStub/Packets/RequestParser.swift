/// Reads requests (the manual of gdb, appendix E.2 to E.4).
extension Request {
  public init(_ payload: [UInt8]) {
    var scanner = PacketScanner(payload)
    self = Self.parse(&scanner) ?? .malformed
  }

  private static func parse(_ scanner: inout PacketScanner) -> Request? {
    switch scanner.character() {
    case UInt8(ascii: "?"): return .whyStopped
    case UInt8(ascii: "g"): return .readRegisters
    case UInt8(ascii: "G"): return scanner.hexBytes().map(writeRegisters)
    case UInt8(ascii: "p"): return scanner.count().map(readRegister)
    case UInt8(ascii: "P"):
      guard let number = scanner.count(), scanner.skip("="), let value = scanner.hexBytes() else { return nil }
      return .writeRegister(number, value)
    case UInt8(ascii: "m"): return range(&scanner).map { .readMemory($0, count: $1) }
    case UInt8(ascii: "x"): return range(&scanner).map { .readBinaryMemory($0, count: $1) }
    case UInt8(ascii: "M"):
      guard let (address, count) = range(&scanner), scanner.skip(":"), let bytes = scanner.hexBytes(),
        bytes.count == count
      else { return nil }
      return .writeMemory(address, bytes)
    case UInt8(ascii: "X"):
      guard let (address, count) = range(&scanner), scanner.skip(":") else { return nil }
      let bytes = scanner.everything()
      return bytes.count == count ? .writeMemory(address, bytes) : nil
    case UInt8(ascii: "H"):
      guard let operation = scanner.character(), let threads = thread(&scanner) else { return nil }
      return .selectThread(threads, isForRunning: operation == UInt8(ascii: "c"))
    case UInt8(ascii: "T"): return thread(&scanner).map(isThreadAlive)
    case UInt8(ascii: "c"): return resume(&scanner, .run)
    case UInt8(ascii: "s"): return resume(&scanner, .step)
    case UInt8(ascii: "C"): return resumeWithSignal(&scanner, .run)
    case UInt8(ascii: "S"): return resumeWithSignal(&scanner, .step)
    case UInt8(ascii: "b"):
      if scanner.skip("s") { return .reverseStep }
      return scanner.skip("c") ? .reverseContinue : .unknown
    case UInt8(ascii: "Z"): return insertion(&scanner)
    case UInt8(ascii: "z"): return breakpoint(&scanner).map { $0.map(remove) ?? .unknown }
    case UInt8(ascii: "D"): return .detach
    case UInt8(ascii: "k"): return .kill
    case UInt8(ascii: "q"): return query(&scanner)
    case UInt8(ascii: "Q"): return setting(&scanner)
    case UInt8(ascii: "v"): return verb(&scanner)
    default: return .unknown
    }
  }

  // MARK: Parts

  /// `ADDRESS,LENGTH`
  private static func range(_ scanner: inout PacketScanner) -> (UInt64, Int)? {
    guard let address = scanner.number(), scanner.skip(","), let count = scanner.count() else { return nil }
    return (address, count)
  }

  /// A thread's number, alone or behind that of the one process that there is; -1 for all, 0 for any.
  private static func thread(_ scanner: inout PacketScanner) -> ThreadSelection? {
    if scanner.skip("p") {
      if scanner.skip("-1") { return .all }
      guard scanner.number() != nil else { return nil }
      guard scanner.skip(".") else { return .all }
    }
    if scanner.skip("-1") { return .all }
    guard let number = scanner.count() else { return nil }
    return number == 0 ? .any : .one(number)
  }

  private static func resume(_ scanner: inout PacketScanner, _ kind: ResumeAction.Kind) -> Request? {
    if scanner.isAtEnd { return .resume([ResumeAction(kind, .any)]) }
    return scanner.number().map { .resumeAt($0, kind) }
  }

  private static func resumeWithSignal(_ scanner: inout PacketScanner, _ kind: ResumeAction.Kind) -> Request? {
    guard scanner.number() != nil else { return nil }
    guard scanner.skip(";") else { return .resume([ResumeAction(kind, .any)]) }
    return scanner.number().map { .resumeAt($0, kind) }
  }

  // MARK: Breakpoints

  /// `TYPE,ADDRESS,KIND`: nil if it is written wrongly, an inner nil for a type that is not known.
  private static func breakpoint(_ scanner: inout PacketScanner) -> BreakpointRequest?? {
    guard let type = scanner.number(), scanner.skip(","), let address = scanner.number(), scanner.skip(","),
      let length = scanner.number()
    else { return nil }
    guard let kind = BreakpointRequest.Kind(rawValue: UInt8(clamping: type)) else { return .some(nil) }
    return BreakpointRequest(kind, address, length)
  }

  /// Behind the place stand conditions, each `X` with its length and its bytecode.
  private static func insertion(_ scanner: inout PacketScanner) -> Request? {
    guard let known = breakpoint(&scanner) else { return nil }
    guard let request = known else { return .unknown }
    var conditions: [[UInt8]] = []
    while scanner.skip(";") {
      // Commands that the target is to do were not offered.
      if scanner.skip("cmds:") { return nil }
      while scanner.skip("X") {
        guard let count = scanner.count(), scanner.skip(","), let code = scanner.hexBytes(count: count) else {
          return nil
        }
        conditions.append(code)
      }
    }
    return scanner.isAtEnd ? .insert(request, conditions: conditions) : nil
  }

  // MARK: Queries and settings

  private static func query(_ scanner: inout PacketScanner) -> Request? {
    if scanner.skip("Supported") {
      _ = scanner.skip(":")
      var features: [String] = []
      while !scanner.isAtEnd { features.append(scanner.text(upTo: UInt8(ascii: ";"))) }
      return .supported(features)
    }
    if scanner.skip("fThreadInfo") { return .firstThreads }
    if scanner.skip("sThreadInfo") { return .moreThreads }
    if scanner.skip("ThreadExtraInfo,") { return thread(&scanner).map(threadText) }
    if scanner.skip("Attached") { return .isAttached }
    if scanner.skip("Symbol::") { return .symbolsOffered }
    if scanner.skip("Rcmd,") { return scanner.hexBytes().map { .monitor(String(decoding: $0, as: UTF8.self)) } }
    if scanner.skip("Xfer:") { return transfer(&scanner) }
    if scanner.skip("qemu.Supported") { return .emulatorFeatures }
    if scanner.skip("qemu.PhyMemMode") { return .isMemoryPhysical }
    if scanner.skip("qemu.sstepbits") { return .stepFlagBits }
    if scanner.skip("qemu.sstep") { return .stepFlags }
    return scanner.skip("C") && scanner.isAtEnd ? .currentThread : .unknown
  }

  private static func transfer(_ scanner: inout PacketScanner) -> Request? {
    let colon = UInt8(ascii: ":")
    let object = scanner.text(upTo: colon)
    guard scanner.skip("read:") else { return .unknown }
    let annex = scanner.text(upTo: colon)
    guard let offset = scanner.count(), scanner.skip(","), let length = scanner.count() else { return nil }
    return .transfer(object: object, annex: annex, offset: offset, length: length)
  }

  private static func setting(_ scanner: inout PacketScanner) -> Request? {
    if scanner.skip("StartNoAckMode") { return .stopAcknowledging }
    if scanner.skip("qemu.PhyMemMode:") { return scanner.number().map { .setMemoryPhysical($0 != 0) } }
    if scanner.skip("qemu.sstep=0x") || scanner.skip("qemu.sstep=") { return scanner.number().map(setStepFlags) }
    return .unknown
  }

  // MARK: Verbs

  private static func verb(_ scanner: inout PacketScanner) -> Request? {
    if scanner.skip("Cont?") { return .resumeKinds }
    if scanner.skip("Cont") { return actions(&scanner) }
    if scanner.skip("Kill;") { return .killProcess }
    if scanner.skip("File:") { return file(&scanner) }
    return .unknown
  }

  private static func actions(_ scanner: inout PacketScanner) -> Request? {
    var actions: [ResumeAction] = []
    while scanner.skip(";") {
      let kind: ResumeAction.Kind
      switch scanner.character() {
      case UInt8(ascii: "c"): kind = .run
      case UInt8(ascii: "s"): kind = .step
      case UInt8(ascii: "t"): kind = .stop
      case UInt8(ascii: "C"):
        guard scanner.number() != nil else { return nil }
        kind = .run
      case UInt8(ascii: "S"):
        guard scanner.number() != nil else { return nil }
        kind = .step
      case UInt8(ascii: "r"):
        guard let from = scanner.number(), scanner.skip(","), let to = scanner.number() else { return nil }
        kind = .range(from: from, to: to)
      default: return nil
      }
      var threads = ThreadSelection.all
      if scanner.skip(":") {
        guard let named = thread(&scanner) else { return nil }
        threads = named
      }
      actions.append(ResumeAction(kind, threads))
    }
    return scanner.isAtEnd && !actions.isEmpty ? .resume(actions) : nil
  }

  private static func file(_ scanner: inout PacketScanner) -> Request? {
    if scanner.skip("setfs:") { return .file(.setFileSystem) }
    if scanner.skip("open:") {
      let path = scanner.text(upTo: UInt8(ascii: ","))
      return Hex.bytes(path.utf8).map { .file(.open(path: String(decoding: $0, as: UTF8.self))) }
    }
    if scanner.skip("fstat:") { return scanner.count().map { .file(.status($0)) } }
    if scanner.skip("pread:") {
      guard let file = scanner.count(), scanner.skip(","), let (count, offset) = range(&scanner) else { return nil }
      return .file(.read(file, count: Int(clamping: count), offset: offset))
    }
    if scanner.skip("close:") { return scanner.count().map { .file(.close($0)) } }
    return .file(.other)
  }
}
