import Machine

extension Hypervisor {
  /// A guest-physical access that the nested tables did not translate: memory of the guest that is not mapped yet, or a
  /// device.
  func handleNestedFault(_ exit: VMExit) -> RunResult? {
    // Reason, qualification, guest-physical address, guest-linear address, IDT-vectoring information.
    handle(exit.reason, reads: 5)
    guard let fault = exit.nested, var tables = nested else {
      return .unsupported("nested fault without nested tables")
    }
    guard guest.isMemory(fault.address) else {
      if exit.loadsDirectoryPointers {
        // PDPTEs of ones cannot be loaded.
        inject(.exception(.generalProtection(0)), during: exit)
        return nil
      }
      return fault.duringWalk ? handleAbsentTable(exit) : accessDevice(exit, at: fault.address)
    }
    guard let page = populate(fault.address) else { return nil }
    nested = nil
    let outcome = tables.map(fault.address, to: page, memory, &allocator)
    nested = tables
    switch outcome {
    case .mapped(let newTables):
      work(.nestedFill, .nestedFill)
      work(.nestedFill, .nestedAllocate, times: newTables)
    case .present:
      return .unsupported("nested fault at \(fault.address), which is mapped")
    case .outOfMemory:
      failure = "host memory is exhausted"
    }
    resume(exit)
    return nil
  }
}
