/// String instructions (SDM vol. 2: MOVS, STOS, LODS, SCAS, CMPS, REP). Repetition is a loop here: registers are
/// written after every element, so that a fault or an interrupt finds the exact state between two elements.
extension Processor {
  func movs(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    try repeated(
      form, run: { () throws(Stopped) in try moveRun(form) },
      element: { () throws(Stopped) in
        let value = try load(sourceAddress(form), width: form.width, stack: form.source == .ss)
        try store(destinationAddress(form, write: true), width: form.width, value: value)
        advance(form, source: true, destination: true)
        return true
      })
  }

  func stos(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    try repeated(
      form, run: { () throws(Stopped) in try storeRun(form) },
      element: { () throws(Stopped) in
        let value = register(Slot.rax, width: form.width)
        try store(destinationAddress(form, write: true), width: form.width, value: value)
        advance(form, source: false, destination: true)
        return true
      })
  }

  func lods(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    try repeated(form) { () throws(Stopped) in
      let value = try load(sourceAddress(form), width: form.width, stack: form.source == .ss)
      setRegister(Slot.rax, width: form.width, value)
      advance(form, source: true, destination: false)
      return true
    }
  }

  func scas(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    try comparing(form) { () throws(Stopped) in
      let value = try load(destinationAddress(form, write: false), width: form.width)
      let accumulator = register(Slot.rax, width: form.width)
      advance(form, source: false, destination: true)
      return (accumulator, value)
    }
  }

  func cmps(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    try comparing(form) { () throws(Stopped) in
      let first = try load(sourceAddress(form), width: form.width, stack: form.source == .ss)
      let second = try load(destinationAddress(form, write: false), width: form.width)
      advance(form, source: true, destination: true)
      return (first, second)
    }
  }

  /// Compares elements as the repetition prefix says. While the instruction is suspended between two of them, flags are
  /// those before it on Intel's processors (SDM vol. 2, REP), and those of the last comparison on AMD's.
  @inline(__always) private func comparing(
    _ form: StringForm, element: () throws(Stopped) -> (UInt64, UInt64)
  ) throws(Stopped) {
    var flags: LazyFlags?
    do throws(Stopped) {
      try repeated(form) { () throws(Stopped) in
        let (first, second) = try element()
        flags = .difference(first, second, borrow: false, width: form.width)
        return form.goesOn(afterEqual: first == second)
      }
    } catch {
      if let flags, profile.vendor == .amd { s.pointee.flags = flags }
      throw error
    }
    if let flags { s.pointee.flags = flags }
  }

  // MARK: Repetition

  /// Does elements as the repetition prefix says. Without one the element is part of the instruction's base cost.
  ///
  /// - Parameters:
  ///   - run: does several elements at once where it can, all of which go on, and tells how many; 0 where it cannot.
  ///   - element: does one, registers but rCX included, and tells whether the next is to follow.
  @inline(__always) func repeated(
    _ form: StringForm, run: () throws(Stopped) -> UInt64 = { 0 }, element: () throws(Stopped) -> Bool
  ) throws(Stopped) {
    guard form.repetition != .once else {
      _ = try element()
      return
    }
    while true {
      let count = register(Slot.rcx, width: form.addressWidth)
      guard count != 0 else { return }
      let several = try run()
      let goesOn = several != 0 ? true : try element()
      let done = max(several, 1)
      setRegister(Slot.rcx, width: form.addressWidth, count &- done)
      for _ in 0..<done { chargeElement() }
      guard goesOn && count > done else { return }
      if deadlineReached || form.isOverwritten { throw again() }
    }
  }

  /// The linear address of the element that rSI points to.
  func sourceAddress(_ form: StringForm) throws(Stopped) -> UInt64 {
    try linear(form.source, register(Slot.rsi, width: form.addressWidth), width: form.width, write: false)
  }

  /// The linear address of the element that rDI points to, always in ES.
  func destinationAddress(_ form: StringForm, write: Bool) throws(Stopped) -> UInt64 {
    try linear(.es, register(Slot.rdi, width: form.addressWidth), width: form.width, write: write)
  }

  /// Moves rSI and rDI on by some elements.
  func advance(_ form: StringForm, source: Bool, destination: Bool, elements: UInt64 = 1) {
    let width = form.addressWidth
    let step = form.step &* elements
    if source { setRegister(Slot.rsi, width: width, register(Slot.rsi, width: width) &+ step) }
    if destination { setRegister(Slot.rdi, width: width, register(Slot.rdi, width: width) &+ step) }
  }

  // MARK: Runs

  /// Copies upward as many elements as lie in one page on both sides and before the deadline.
  private func moveRun(_ form: StringForm) throws(Stopped) -> UInt64 {
    guard allowsRun(form, .es), allowsRun(form, form.source) else { return 0 }
    let from = try sourceAddress(form)
    let to = try destinationAddress(form, write: true)
    let most = min(roomForRun(form, Slot.rsi, from), roomForRun(form, Slot.rdi, to))
    guard most > 1, let (target, wanted) = writableRun(to, width: form.width, maximum: most),
      let (source, elements) = readableRun(from, width: form.width, maximum: wanted)
    else { return 0 }
    let bytes = elements &* form.width
    let distance = target - source
    if distance <= 0 || distance >= bytes {
      target.copyMemory(from: source, byteCount: bytes)
    } else {
      // The destination overlaps what is still to be read: elements that were written are read again, as one by one.
      copyElements(from: source, to: target, width: form.width, count: elements)
    }
    let count = UInt64(truncatingIfNeeded: elements)
    s.pointee.accesses &+= 2 &* count
    advance(form, source: true, destination: true, elements: count)
    return count
  }

  private func copyElements(
    from source: UnsafeMutableRawPointer, to target: UnsafeMutableRawPointer, width: Int, count: Int
  ) {
    func copy<Element: FixedWidthInteger & BitwiseCopyable>(_: Element.Type) {
      for offset in stride(from: 0, to: count &* width, by: width) {
        target.storeBytes(
          of: source.loadUnaligned(fromByteOffset: offset, as: Element.self), toByteOffset: offset, as: Element.self)
      }
    }
    switch width {
    case 1: copy(UInt8.self)
    case 2: copy(UInt16.self)
    case 4: copy(UInt32.self)
    default: copy(UInt64.self)
    }
  }

  /// Stores upward as many elements as lie in one page and before the deadline.
  private func storeRun(_ form: StringForm) throws(Stopped) -> UInt64 {
    guard allowsRun(form, .es) else { return 0 }
    let address = try destinationAddress(form, write: true)
    let most = roomForRun(form, Slot.rdi, address)
    guard most > 1, let (target, elements) = writableRun(address, width: form.width, maximum: most) else { return 0 }
    let value = register(Slot.rax, width: form.width)
    func fill<Element: FixedWidthInteger & BitwiseCopyable>(_: Element.Type) {
      let element = Element(truncatingIfNeeded: value)
      for offset in stride(from: 0, to: elements &* form.width, by: form.width) {
        target.storeBytes(of: element, toByteOffset: offset, as: Element.self)
      }
    }
    switch form.width {
    case 1: fill(UInt8.self)
    case 2: fill(UInt16.self)
    case 4: fill(UInt32.self)
    default: fill(UInt64.self)
    }
    let count = UInt64(truncatingIfNeeded: elements)
    s.pointee.accesses &+= count
    advance(form, source: false, destination: true, elements: count)
    return count
  }

  /// Whether runs through a segment need no check but that of their first element.
  private func allowsRun(_ form: StringForm, _ register: SegmentRegister) -> Bool {
    guard !form.isBackward else { return false }
    if s.pointee.codeSize == .bits64 { return true }
    let segment = s.pointee[register]
    return segment.limit == .max && !segment.expandsDown
  }

  /// How many elements from a pointer on lie in its page and below the address size's end, with the count and the
  /// deadline.
  private func roomForRun(_ form: StringForm, _ pointer: UInt8, _ address: UInt64) -> Int {
    let inPage = 4096 &- address & 0xfff
    let beforeEnd = form.mask &- register(pointer, width: form.addressWidth)
    let bytes = min(inPage, beforeEnd)
    let elements = min(
      bytes &>> UInt64(form.width.trailingZeroBitCount), register(Slot.rcx, width: form.addressWidth))
    return min(Int(truncatingIfNeeded: min(elements, 4096)), elementsBeforeDeadline)
  }
}

/// What a string instruction does the same for every element.
struct StringForm {
  let width: Int
  let addressWidth: Int
  let mask: UInt64
  let repetition: Repetition
  /// The segment of rSI.
  let source: SegmentRegister
  let isBackward: Bool
  private let operation: UnsafePointer<Operation>

  @inline(__always) init(_ op: UnsafePointer<Operation>, _ state: UnsafeMutablePointer<ProcessorState>) {
    operation = op
    let form = OperandForm(op)
    width = form.width
    addressWidth = form.addressSize.width
    mask = form.addressSize.mask
    repetition = Repetition(rawValue: form.extra) ?? .once
    source = form.segment ?? .ds
    isBackward = state.pointee.systemFlags & Flag.direction != 0
  }

  /// Whether its own code may have been written since it was decoded: what has been fetched does not count any more (SDM
  /// vol. 3, 11.6), and a repetition is fetched anew before its next element.
  @inline(__always) var isOverwritten: Bool {
    operation.pointee.handler == .stale && !mutated("repetition-not-fetched")
  }

  /// What one element adds to a pointer.
  @inline(__always) var step: UInt64 {
    let width = UInt64(truncatingIfNeeded: width)
    return isBackward ? 0 &- width : width
  }

  /// Whether REPE or REPNE goes on after a comparison.
  @inline(__always) func goesOn(afterEqual isEqual: Bool) -> Bool {
    isEqual == (repetition == .whileEqual)
  }
}
