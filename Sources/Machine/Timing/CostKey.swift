/// The figures that a profile consists of. The raw value is the key in a profile's YAML file and in `--set
/// profile.KEY=VALUE`.
public enum CostKey: String, CaseIterable, Sendable {
  // The processor

  /// Cycles a second, which the guest's timers are scaled by.
  case frequency = "frequency"
  /// MAXPHYADDR.
  case physicalBits = "physical-bits"

  // TLBs: entries (0: none) and ways (equal to entries: fully associative)

  /// First-level data TLB for 4K pages.
  case tlbData4KEntries = "tlb.data.4K.entries"
  /// Its ways.
  case tlbData4KWays = "tlb.data.4K.ways"
  /// First-level data TLB for 2M pages.
  case tlbData2MEntries = "tlb.data.2M.entries"
  /// Its ways.
  case tlbData2MWays = "tlb.data.2M.ways"
  /// First-level data TLB for 1G pages.
  case tlbData1GEntries = "tlb.data.1G.entries"
  /// Its ways.
  case tlbData1GWays = "tlb.data.1G.ways"
  /// 1: the first-level data TLB holds pages of all sizes in its 4K array.
  case tlbDataUnified = "tlb.data.unified"
  /// First-level code TLB for 4K pages.
  case tlbCode4KEntries = "tlb.code.4K.entries"
  /// Its ways.
  case tlbCode4KWays = "tlb.code.4K.ways"
  /// First-level code TLB for 2M pages.
  case tlbCode2MEntries = "tlb.code.2M.entries"
  /// Its ways.
  case tlbCode2MWays = "tlb.code.2M.ways"
  /// First-level code TLB for 1G pages.
  case tlbCode1GEntries = "tlb.code.1G.entries"
  /// Its ways.
  case tlbCode1GWays = "tlb.code.1G.ways"
  /// 1: the first-level code TLB holds pages of all sizes in its 4K array.
  case tlbCodeUnified = "tlb.code.unified"
  /// Second-level TLB, code and data.
  case tlbL2Entries = "tlb.l2.entries"
  /// Its ways.
  case tlbL2Ways = "tlb.l2.ways"
  /// 1: it holds 2M pages in the same array.
  case tlbL2Holds2M = "tlb.l2.holds-2M"
  /// A second-level array of its own for 2M pages.
  case tlbL2Large2MEntries = "tlb.l2.2M.entries"
  /// Its ways.
  case tlbL2Large2MWays = "tlb.l2.2M.ways"
  /// A second-level array of its own for 1G pages.
  case tlbL2Large1GEntries = "tlb.l2.1G.entries"
  /// Its ways.
  case tlbL2Large1GWays = "tlb.l2.1G.ways"
  /// Cycles that a hit in the second-level TLB adds.
  case tlbL2Hit = "tlb.l2.hit"

  // Paging-structure caches, fully associative: entries by level, and what a look-up costs

  /// PML4E cache.
  case pscPML4E = "psc.pml4e.entries"
  /// PDPTE cache.
  case pscPDPTE = "psc.pdpte.entries"
  /// PDE cache.
  case pscPDE = "psc.pde.entries"
  /// The second dimension's caches, by guest-physical address.
  case pscNestedPDPTE = "psc.nested.pdpte.entries"
  case pscNestedPDE = "psc.nested.pde.entries"
  /// Page-walk cache: entries of tables of every level and both dimensions, by where they are in the host, fully
  /// associative.
  case walkCacheEntries = "walk-cache.entries"
  /// Cycles of a hit in a paging-structure cache or the page-walk cache.
  case pscHit = "psc.hit"
  /// Nested TLB: guest-physical to host-physical, fully associative.
  case nestedTLBEntries = "nested-tlb.entries"
  /// 1: it holds the places of the guest's pages too; 0: those of its tables alone.
  case nestedTLBHoldsPages = "nested-tlb.holds-pages"
  /// Cycles of a hit there.
  case nestedTLBHit = "nested-tlb.hit"
  /// 1: the walker keeps accessed and dirty bits in nested tables.
  case nestedAccessedDirty = "nested.accessed-dirty"
  /// Cycles of setting A or D in an entry (a locked update).
  case walkSetBits = "walk.set-bits"
  /// Cycles of starting the page walker, besides its references.
  case walkStart = "walk.start"
  /// Writing one entry of the page-modification log.
  case walkModificationLog = "walk.modification-log"

  // Caches of 64-byte lines

  /// Size of the L1 cache; 0: none.
  case cacheL1Bytes = "cache.l1.bytes"
  /// Its ways.
  case cacheL1Ways = "cache.l1.ways"
  /// Size of the L2 cache; 0: none.
  case cacheL2Bytes = "cache.l2.bytes"
  /// Its ways.
  case cacheL2Ways = "cache.l2.ways"
  /// Size of the L3 cache; 0: none.
  case cacheL3Bytes = "cache.l3.bytes"
  /// Its ways.
  case cacheL3Ways = "cache.l3.ways"
  /// Cycles of a reference that L2 serves.
  case cacheL2Hit = "cache.l2.hit"
  /// Cycles of a reference that L3 serves.
  case cacheL3Hit = "cache.l3.hit"
  /// Cycles of a reference that memory serves.
  case cacheMemory = "cache.memory"

  // Base costs of instruction classes

  case executeSimple = "execute.simple"
  case executeFree = "execute.free"
  case executeMultiply = "execute.multiply"
  case executeDivide = "execute.divide"
  case executeDivide64 = "execute.divide64"
  case executeLocked = "execute.locked"
  case executeFence = "execute.fence"
  case executeStringSetup = "execute.stringSetup"
  case executeStringElement = "execute.stringElement"
  case executePause = "execute.pause"
  case executeCpuid = "execute.cpuid"
  case executeReadTimeStamp = "execute.readTimeStamp"
  case executeReadMSR = "execute.readMSR"
  case executeWriteMSR = "execute.writeMSR"
  case executeMoveControl = "execute.moveControl"
  case executeLoadSegment = "execute.loadSegment"
  case executeLoadDescriptorTable = "execute.loadDescriptorTable"
  case executeInvalidatePage = "execute.invalidatePage"
  case executeSystemCall = "execute.systemCall"
  case executeSystemReturn = "execute.systemReturn"
  case executeInterruptReturn = "execute.interruptReturn"
  case executeSwapGS = "execute.swapGS"
  case executeFlagsImage = "execute.flagsImage"
  case executeFarTransfer = "execute.farTransfer"
  case executeCacheLine = "execute.cacheLine"
  case executeMicrocoded = "execute.microcoded"
  case executeX87 = "execute.x87"
  case executeX87Divide = "execute.x87Divide"
  case executeX87Transcendental = "execute.x87Transcendental"
  case executeX87State = "execute.x87State"

  // Events

  /// Delivery of an exception through the IDT, to the same privilege.
  case faultDelivery = "fault.delivery"
  /// Delivery of an external interrupt through the IDT.
  case interruptDelivery = "interrupt.delivery"
  /// What a switch to another stack adds to a delivery.
  case stackSwitch = "delivery.stack-switch"
  /// MOV to CR3 by the hardware, besides the refills that follow.
  case loadCR3 = "switch.cr3"
  /// INVLPG's own work, and that of one invalidation asked for by the hypervisor.
  case flushPage = "flush.page"
  /// Dropping every entry, or a whole context.
  case flushAll = "flush.all"
  /// A port access that reaches a device.
  case portAccess = "io.port"
  /// A device-register access.
  case deviceAccess = "io.register"
  /// Leaving HLT.
  case wake = "idle.wake"

  // Virtualization: the hardware

  /// 1: entries are tagged (VPID, ASID); 0: every exit and entry flushes.
  case taggedTLB = "virtualization.tagged-tlb"
  /// Hardware cycles of an exit and the entry after it.
  case exitRoundTrip = "exit.round-trip"
  /// What an injected event adds to an entry.
  case injectEvent = "exit.inject"
  /// Reading one field of the control block (VMREAD).
  case controlBlockRead = "exit.control-block-read"
  /// Writing one field.
  case controlBlockWrite = "exit.control-block-write"

  // Virtualization: the hypervisor's own work

  /// Saving, dispatching and restoring, every exit.
  case handlerBase = "hypervisor.exit-base"
  /// Emulating a port access.
  case handlerPort = "hypervisor.port"
  /// Emulating a device-register access.
  case handlerDevice = "hypervisor.device"
  /// Handling HLT.
  case handlerHalt = "hypervisor.halt"
  /// Handling an external interrupt and choosing what to inject.
  case handlerInterrupt = "hypervisor.interrupt"
  /// Emulating a control-register write.
  case handlerControl = "hypervisor.control-register"
  /// Emulating INVLPG.
  case handlerInvalidate = "hypervisor.invlpg"
  /// Reading and checking one entry of a guest's tables in software.
  case shadowWalkStep = "hypervisor.walk-step"
  /// Finding a shadow page by frame and role.
  case shadowLookup = "hypervisor.shadow-lookup"
  /// Making one shadow entry, with its reverse-map entry.
  case shadowFill = "hypervisor.shadow-fill"
  /// Making a shadow page, zeroed.
  case shadowAllocate = "hypervisor.shadow-allocate"
  /// Write-protecting or unprotecting one shadow entry.
  case shadowProtect = "hypervisor.shadow-protect"
  /// Decoding and emulating one write to a guarded table.
  case shadowEmulate = "hypervisor.shadow-emulate"
  /// Removing one shadow entry.
  case shadowZap = "hypervisor.shadow-zap"
  /// Comparing one shadow entry with the guest's when its page is brought into step.
  case shadowSync = "hypervisor.shadow-sync"
  /// Handling a nested fault: finding the memory slot, and making one nested entry.
  case nestedFill = "hypervisor.nested-fill"
  /// Making a nested table, zeroed.
  case nestedAllocate = "hypervisor.nested-allocate"
  /// Giving the guest one host page (allocating and zeroing 4 KiB).
  case populate = "hypervisor.populate"
  /// Noting one page as written: in a bitmap, by a fault or by an entry of the page-modification log.
  case dirtyNote = "hypervisor.dirty-note"
  /// Looking whether one nested entry has D set.
  case dirtyScan = "hypervisor.dirty-scan"
  /// Interrupting one other processor, so that it flushes, and waiting until it has left the guest.
  case remoteFlush = "hypervisor.remote-flush"
}
