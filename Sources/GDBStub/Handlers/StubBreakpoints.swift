import Debugger

/// gdb's breakpoints and watchpoints, which are the session's.
extension Stub {
  func insert(_ request: BreakpointRequest, _ conditions: [[UInt8]]) -> Answer {
    let kind: Breakpoint.Kind
    switch request.kind {
    case .software, .hardware: kind = .code(request.address)
    case .writeWatch, .readWatch, .accessWatch:
      guard 1...65536 ~= request.length else { return .invalid }
      let access: Breakpoint.Watch.Access =
        request.kind == .writeWatch ? .write : request.kind == .readWatch ? .read : .access
      kind = .watch(
        .init(access: access, address: request.address, length: request.length, isPhysical: isMemoryPhysical))
    }
    // Inserted again it has other conditions.
    let number = inserted[request] ?? session.add(kind, text: "gdb's")
    inserted[request] = number
    let predicate = predicate(conditions.map(AgentExpression.init))
    session.change(number) { $0.predicate = predicate }
    return .ok
  }

  /// Whether any of the conditions holds; one without a value does, so that somebody sees it.
  private func predicate(_ conditions: [AgentExpression]) -> (@Sendable (Session) -> Bool)? {
    guard !conditions.isEmpty else { return nil }
    let registers = registers
    return { session in
      let target = AgentExpression.Target(
        register: { number in
          guard registers.indices.contains(number) else { return nil }
          return UInt64(littleEndianBytes: registers[number].read(session))
        },
        memory: { session.number(at: $0, width: $1) })
      return conditions.contains { $0.value(target) ?? 1 != 0 }
    }
  }

  /// What stopped a run: gdb's own breakpoints by its own words, others in words for people.
  func report(_ hits: [BreakpointHit]) -> [[UInt8]] {
    var packets: [[UInt8]] = []
    var reason = ""
    for hit in hits {
      guard let request = inserted.first(where: { $0.value == hit.number })?.key else {
        packets += Monitor.packets(hit.report + "\n")
        continue
      }
      let address = String(request.address, radix: 16)
      switch request.kind {
      case .software: if reason == "", knowsReasons { reason = "swbreak:;" }
      case .hardware: if reason == "", knowsReasons { reason = "hwbreak:;" }
      // What an instruction did comes before what the next one is.
      case .writeWatch: reason = "watch:\(address);"
      case .readWatch: reason = "rwatch:\(address);"
      case .accessWatch: reason = "awatch:\(address);"
      }
    }
    return packets + [stopReply(reasons: reason)]
  }
}
