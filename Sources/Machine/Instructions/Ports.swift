/// Port input and output (SDM vol. 2: IN, OUT, INS, OUTS).
extension Processor {
  func portIn(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let port = try portOperand(op, form)
    watchPort(port, width: form.width)
    if isObserved { tell(.port(number: port, width: form.width, value: nil)) }
    if controls.intercepts.contains(.ports) { throw exit(portExit(op, port, width: form.width)) }
    setRegister(Slot.rax, width: form.width, readPort(port, width: form.width))
  }

  func portOut(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = OperandForm(op)
    let port = try portOperand(op, form)
    let value = register(Slot.rax, width: form.width)
    watchPort(port, width: form.width)
    if isObserved { tell(.port(number: port, width: form.width, value: value)) }
    if controls.intercepts.contains(.ports) { throw exit(portExit(op, port, width: form.width, writing: value)) }
    writePort(port, width: form.width, value: value)
  }

  /// The destination is checked before the port is read: what a read takes out of a device must not be lost to a fault.
  func ins(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    let port = try stringPort(form)
    try repeated(form) { () throws(Stopped) in
      let address = try destinationAddress(form, write: true)
      try probeWrite(address, width: form.width, privilege: privilege, stack: false)
      watchPort(port, width: form.width)
      if isObserved && controls.grants.isEmpty { tell(.port(number: port, width: form.width, value: nil)) }
      if controls.intercepts.contains(.ports) { throw exit(portExit(op, port, width: form.width, isString: true)) }
      try store(address, width: form.width, value: readPort(port, width: form.width))
      advance(form, source: false, destination: true)
      return true
    }
  }

  func outs(_ op: UnsafePointer<Operation>) throws(Stopped) {
    let form = StringForm(op, s)
    let port = try stringPort(form)
    try repeated(form) { () throws(Stopped) in
      let value = try load(sourceAddress(form), width: form.width, stack: form.source == .ss)
      watchPort(port, width: form.width)
      if isObserved && controls.grants.isEmpty { tell(.port(number: port, width: form.width, value: value)) }
      if controls.intercepts.contains(.ports) {
        throw exit(portExit(op, port, width: form.width, writing: value, isString: true))
      }
      writePort(port, width: form.width, value: value)
      advance(form, source: true, destination: false)
      return true
    }
  }

  /// The port of IN and OUT, an immediate or DX, which the privilege allows.
  private func portOperand(_ op: UnsafePointer<Operation>, _ form: OperandForm) throws(Stopped) -> UInt16 {
    let number = form.shape == .i ? UInt64(bitPattern: op.pointee.imm) & 0xff : register(Slot.rdx, width: 2)
    let port = UInt16(truncatingIfNeeded: number)
    try checkPort(port, width: form.width)
    return port
  }

  /// The port of INS and OUTS: DX. It is checked once, even where there is nothing to repeat.
  private func stringPort(_ form: StringForm) throws(Stopped) -> UInt16 {
    let port = UInt16(truncatingIfNeeded: s.pointee.slots[Int(Slot.rdx)])
    try checkPort(port, width: form.width)
    return port
  }

  private func readPort(_ port: UInt16, width: Int) -> UInt64 {
    let value = bus.readPort(port, width: width, now: now)
    counters.portAccesses &+= 1
    charge(.io, costs.portAccess)
    deviceChanged()
    return UInt64(value).truncated(to: width)
  }

  private func writePort(_ port: UInt16, width: Int, value: UInt64) {
    bus.writePort(port, width: width, value: UInt32(truncatingIfNeeded: value), now: now)
    counters.portAccesses &+= 1
    charge(.io, costs.portAccess)
    deviceChanged()
  }

  /// What the hypervisor is told. `number` is 1 for the string forms, whose pointers and count are the guest's
  /// registers still.
  private func portExit(
    _ op: UnsafePointer<Operation>, _ port: UInt16, width: Int, writing value: UInt64? = nil, isString: Bool = false
  ) -> VMExit {
    var exit = VMExit(.port)
    exit.instructionLength = op.pointee.length
    exit.instructionCycles = op.pointee.cycles
    exit.port = port
    exit.isWrite = value != nil
    exit.width = UInt8(truncatingIfNeeded: width)
    exit.value = value ?? 0
    exit.number = isString ? 1 : 0
    return exit
  }
}
