#if os(Linux) && arch(x86_64)
  import Glibc
  import Machine
  import Vectors

  /// The processor that this process runs on, executing one instruction at a time at ring 3: what it leaves, and what
  /// it raises.
  ///
  /// The instruction is entered with every register loaded. It ends at a breakpoint behind it, in a single-step trap
  /// (where it may go elsewhere), or in a fault; a signal handler on a stack of its own then takes the registers from
  /// the signal's frame and goes on where all is put back. So an instruction may do to registers, flags and the stack
  /// pointer what it likes; memory that it can reach is left to whoever makes its operands.
  final class HostExecutor {
    /// Registers before an instruction.
    struct State {
      var general = [UInt64](repeating: 0, count: 16)
      var rip: UInt64 = 0
      var rflags: UInt64 = 0
      var xmm = [Vector128](repeating: Vector128(), count: 16)
      /// The upper halves of the YMM registers.
      var upper = [Vector128](repeating: Vector128(), count: 16)
      var mxcsr = MXCSR.initial
      var x87 = X87State()
      /// Of 16- and 32-bit code; nil for 64-bit code in the flat segments of this process.
      var selectors: Selectors?
    }

    /// Selectors of `ProgramSegments`.
    struct Selectors: Equatable {
      var cs: UInt16
      var ss: UInt16
      var ds: UInt16
      var es: UInt16
    }

    /// Bytes of breakpoints behind an instruction.
    static let breakpoints = 16

    /// How an instruction ended.
    struct Outcome {
      var state: State
      /// Nil where it was completed.
      var exception: ExpectedException?
      /// Of the kernel's addresses programs are not told the truth, and the last page below them counts as one.
      var isHidden = false
    }

    /// Where the trampoline is, and what it loads: below 2 GiB, so that addresses are 32-bit displacements, and where
    /// operands with few bits set do not point to.
    private enum Place {
      static let data: UInt64 = 0x6db6_d000
      static let general = data, flags = data + 0x80, hostStack = data + 0x88, target = data + 0x90
      static let hostControl = data + 0x98, isRunning = data + 0xa0, leave = data + 0xa8
      static let handler = data + 0xb0, code = data + 0xb8, stack = data + 0xc0
      /// DS and ES, before and after.
      static let segments = data + 0xc8, segmentsAfter = data + 0xd0
      /// The area that XRSTOR loads.
      static let extended = data + 0x100
      /// What the signal handler leaves: registers of the frame, and the frame's area of XSAVE.
      static let frame = data + 0x500, frameExtended = data + 0x600
      /// The top of the stack from which the program is entered. Where SS is of 16 bits, all but the lower half of the
      /// program's ESP comes from here.
      static let frameStack = data + 0x1000
      static let trampoline = data + 0x1000
      static let pages = 2
    }

    /// Registers in a signal's frame (sys/ucontext.h).
    private enum FrameIndex {
      /// By the number of the general register.
      static let general = [13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7]
      static let rip = 16, flags = 17, selectors = 18, error = 19, trap = 20, faultAddress = 22
      static let count = 23
      /// Bytes before the registers in `ucontext_t`, and where the pointer to the XSAVE area follows.
      static let start = 40, image = 224
    }

    /// Of this process.
    private enum Selector {
      static let code: UInt16 = 0x33, stack: UInt16 = 0x2b
    }

    /// What ESP has above its lower half where a program's stack segment is of 16 bits.
    static let upperStackPointer = Place.frameStack & 0xffff_0000

    /// The memory of programs: as the processor finds it, and a copy of what it was.
    private let regions: [(range: ClosedRange<UInt64>, copy: UnsafeMutableRawPointer)]

    /// Nil where the pages are not to be had.
    init?() {
      guard HostExecutor.map(Place.data, pages: Place.pages, executable: true) else { return nil }
      var regions: [(range: ClosedRange<UInt64>, copy: UnsafeMutableRawPointer)] = []
      for range in ProgramMemory.ranges + [ProgramMemory.top...ProgramMemory.top + 0xfff] {
        let count = Int(range.upperBound - range.lowerBound + 1)
        guard HostExecutor.map(range.lowerBound, pages: count >> 12, executable: true) else {
          // The highest page may be the stack's.
          if range.lowerBound == ProgramMemory.top { continue }
          return nil
        }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 4096)
        memset(copy, 0, count)
        regions.append((range, copy))
      }
      self.regions = regions
      let parts = [HostExecutor.entrance, HostExecutor.exit, HostExecutor.handlerEntrance]
      HostExecutor.put(parts.flatMap { $0 }, at: Place.trampoline)
      HostExecutor.put(Place.trampoline + UInt64(parts[0].count), at: Place.leave)
      let signals = Place.trampoline + UInt64(parts[0].count + parts[1].count)
      guard HostExecutor.catchSignals(at: signals) else { return nil }
    }

    deinit { for region in regions { region.copy.deallocate() } }

    /// Makes `ProgramSegments` this process's local descriptor table.
    ///
    /// - Returns: whether the kernel lets it.
    static func installSegments() -> Bool {
      /// The kernel's `struct user_desc` (asm/ldt.h).
      struct UserDescriptor {
        var number: UInt32
        var base: UInt32
        var limit: UInt32
        var flags: UInt32
      }
      typealias Modify = @convention(c) (Int32, UnsafeMutableRawPointer, UInt) -> Int32
      guard let symbol = dlsym(nil, "modify_ldt") else { return false }
      let modify = unsafeBitCast(symbol, to: Modify.self)
      return ProgramSegments.table.enumerated().allSatisfy { number, entry in
        // seg_32bit, contents, read_exec_only, limit_in_pages, seg_not_present, useable.
        let kind: UInt32 = UInt32(entry.type >> 2) << 1 | (entry.type & 2 == 0 ? 8 : 0)
        let flags: UInt32 =
          (entry.isBig ? 1 : 0) | kind | (entry.hasPages ? 0x10 : 0) | (entry.isPresent ? 0 : 0x20) | 0x40
        var descriptor = UserDescriptor(number: UInt32(number), base: entry.base, limit: entry.limit, flags: flags)
        return modify(0x11, &descriptor, UInt(MemoryLayout<UserDescriptor>.size)) == 0
      }
    }

    private static func map(_ address: UInt64, pages: Int, executable: Bool) -> Bool {
      let noReplace: Int32 = 0x10_0000
      let start = mmap(
        UnsafeMutableRawPointer(bitPattern: UInt(address)), pages << 12,
        PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0), MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | noReplace,
        -1, 0)
      return UInt(bitPattern: start) == UInt(address)
    }

    // MARK: Signals

    private static func catchSignals(at entrance: UInt64) -> Bool {
      var stack = stack_t()
      let size = 1 << 18
      stack.ss_sp = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 4096)
      stack.ss_size = size
      guard sigaltstack(&stack, nil) == 0 else { return false }
      typealias Handler = @convention(c) (Int32, UnsafeMutablePointer<siginfo_t>?, UnsafeMutableRawPointer?) -> Void
      let handler: Handler = { signal, _, context in HostExecutor.caught(signal, context) }
      put(UInt64(UInt(bitPattern: unsafeBitCast(handler, to: UnsafeRawPointer.self))), at: Place.handler)
      var action = sigaction()
      action.__sigaction_handler.sa_sigaction = unsafeBitCast(UnsafeRawPointer(pointer(entrance)), to: Handler.self)
      action.sa_flags = SA_SIGINFO | SA_ONSTACK
      return [SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE].allSatisfy { sigaction($0, &action, nil) == 0 }
    }

    /// Takes the registers from the frame, and has the way out follow.
    private static func caught(_ number: Int32, _ context: UnsafeMutableRawPointer?) {
      guard let context, word(Place.isRunning) == 1 else {
        // A defect of this program: it ends by the signal when the handler returns.
        signal(number, SIG_DFL)
        return
      }
      put(0, at: Place.isRunning)
      let registers = (context + FrameIndex.start).assumingMemoryBound(to: UInt64.self)
      let frame = pointer(Place.frame)
      memcpy(frame, registers, FrameIndex.count * 8)
      if let image = context.load(fromByteOffset: FrameIndex.image, as: UnsafeRawPointer?.self) {
        memcpy(pointer(Place.frameExtended), image, ExtendedImage.size)
      }
      registers[FrameIndex.rip] = word(Place.leave)
      registers[FrameIndex.selectors] = UInt64(Selector.code) | UInt64(Selector.stack) << 48
      registers[FrameIndex.flags] = Flag.one | Flag.interrupt
    }

    // MARK: Executing

    /// Makes bytes of the programs' memory what they should be before the next instruction. They are zero where nobody
    /// has written.
    func write(_ byte: ListedByte) {
      guard let region = regions.first(where: { $0.range.contains(byte.address) }) else { return }
      HostExecutor.pointer(byte.address).storeBytes(of: byte.value, as: UInt8.self)
      region.copy.storeBytes(
        of: byte.value, toByteOffset: Int(byte.address - region.range.lowerBound), as: UInt8.self)
    }

    /// Whether programs have memory at an address.
    func holds(_ address: UInt64) -> Bool { regions.contains { $0.range.contains(address) } }

    /// Executes the bytes at RIP.
    /// - Parameters:
    ///   - bytes: what stands there already.
    ///   - steps: whether it is ended by a single-step trap; otherwise breakpoints are put behind it.
    func execute(_ before: State, bytes: Int, steps: Bool) -> Outcome {
      for index in 0..<16 {
        HostExecutor.put(before.general[index], at: Place.general + UInt64(index) * 8)
      }
      ExtendedImage(HostExecutor.pointer(Place.extended)).put(before)
      HostExecutor.put(before.rflags | (steps ? Flag.trap : 0), at: Place.flags)
      HostExecutor.put(before.rip, at: Place.target)
      HostExecutor.put(UInt64(before.selectors?.cs ?? Selector.code), at: Place.code)
      HostExecutor.put(UInt64(before.selectors?.ss ?? Selector.stack), at: Place.stack)
      HostExecutor.put(
        UInt64(before.selectors?.ds ?? 0) | UInt64(before.selectors?.es ?? 0) << 16, at: Place.segments)
      let behind = HostExecutor.pointer(before.linearRIP + UInt64(bytes))
      if !steps { memset(behind, 0xcc, HostExecutor.breakpoints) }
      HostExecutor.put(1, at: Place.isRunning)
      let entrance = UnsafeRawPointer(bitPattern: UInt(Place.trampoline))
      unsafeBitCast(entrance, to: (@convention(c) () -> Void).self)()
      if !steps { memset(behind, 0, HostExecutor.breakpoints) }
      return outcome(before, bytes: bytes, steps: steps)
    }

    private func outcome(_ before: State, bytes: Int, steps: Bool) -> Outcome {
      func frame(_ index: Int) -> UInt64 { HostExecutor.word(Place.frame + UInt64(index) * 8) }
      var state = State()
      state.general = FrameIndex.general.map(frame)
      state.rip = frame(FrameIndex.rip)
      state.rflags = frame(FrameIndex.flags) & ~(steps ? Flag.trap : 0)
      if before.selectors != nil {
        let (code, data) = (frame(FrameIndex.selectors), HostExecutor.word(Place.segmentsAfter))
        state.selectors = Selectors(
          cs: UInt16(truncatingIfNeeded: code), ss: UInt16(truncatingIfNeeded: code >> 48),
          ds: UInt16(truncatingIfNeeded: data), es: UInt16(truncatingIfNeeded: data >> 16))
      }
      ExtendedImage(HostExecutor.pointer(Place.frameExtended)).get(&state)
      let trap = UInt8(truncatingIfNeeded: frame(FrameIndex.trap))
      if steps && trap == 1 { return Outcome(state: state) }
      if !steps && trap == 3 && state.rip > before.rip + UInt64(bytes) {
        state.rip -= 1
        return Outcome(state: state)
      }
      // Error codes are pushed by the vectors that have one (SDM vol. 3, table 6-1).
      let hasError = [8, 10, 11, 12, 13, 14, 17, 21].contains(trap)
      let error = hasError ? UInt32(truncatingIfNeeded: frame(FrameIndex.error)) : nil
      state.rflags &= ~Flag.resume
      return Outcome(
        state: state, exception: ExpectedException(vector: trap, error: error),
        isHidden: trap == 14 && frame(FrameIndex.faultAddress) >= 0x7fff_ffff_f000)
    }

    /// What the instruction has changed in memory; all of it is zero again afterwards.
    func takeChanges(_ written: [ListedByte]) -> [ListedByte] {
      var changes: [ListedByte] = []
      for region in regions {
        let now = HostExecutor.pointer(region.range.lowerBound)
        let count = Int(region.range.upperBound - region.range.lowerBound + 1)
        guard memcmp(now, region.copy, count) != 0 else { continue }
        for offset in 0..<count {
          let byte = now.load(fromByteOffset: offset, as: UInt8.self)
          guard byte != region.copy.load(fromByteOffset: offset, as: UInt8.self) else { continue }
          changes.append(ListedByte(region.range.lowerBound + UInt64(offset), byte))
        }
      }
      for byte in changes { write(ListedByte(byte.address, 0)) }
      for byte in written { write(ListedByte(byte.address, 0)) }
      return changes
    }

    // MARK: The way in and out

    /// Keeps what the caller wants kept, loads everything and jumps.
    private static var entrance: [UInt8] {
      var code: [UInt8] = [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9c]
      code += general(Slot.rsp, Place.hostStack, stores: true)
      code += [0x0f, 0xae, 0x1c, 0x25] + bytes(Place.hostControl)  // stmxcsr
      code += [0x31, 0xd2, 0xb8, 7, 0, 0, 0]  // xor %edx, %edx; mov $7, %eax
      code += [0x48, 0x0f, 0xae, 0x2c, 0x25] + bytes(Place.extended)  // xrstor64
      code += [0x8e, 0x1c, 0x25] + bytes(Place.segments) + [0x8e, 0x04, 0x25] + bytes(Place.segments + 2)  // ds, es
      for slot in 0..<16 as Range<UInt8> where slot != Slot.rsp {
        code += general(slot, Place.general + UInt64(slot) * 8, stores: false)
      }
      return code + flagsAndJump
    }

    /// Loads RSP, RFLAGS and RIP at once: IRETQ, so that a single-step trap comes behind the instruction at the target
    /// and nowhere else.
    private static var flagsAndJump: [UInt8] {
      // mov $, %rsp; push ss, rsp, flags, cs, target; iretq
      let frame = [Place.stack, Place.general + UInt64(Slot.rsp) * 8, Place.flags, Place.code, Place.target]
      return [0x48, 0xc7, 0xc4] + bytes(Place.frameStack) + frame.flatMap { [0xff, 0x34, 0x25] + bytes($0) }
        + [0x48, 0xcf]
    }

    private static var exit: [UInt8] {
      general(Slot.rsp, Place.hostStack, stores: false) + [0x8c, 0x1c, 0x25] + bytes(Place.segmentsAfter)
        + [0x8c, 0x04, 0x25] + bytes(Place.segmentsAfter + 2)
        + [0xdb, 0xe3]  // fninit
        + (HostVendor.hasAVX ? [0xc5, 0xf8, 0x77] : [])  // vzeroupper
        + [0x0f, 0xae, 0x14, 0x25] + bytes(Place.hostControl)  // ldmxcsr
        + [0x9d, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3]
    }

    /// Goes on to the handler with EFLAGS.AC clear, which the kernel leaves as the program has it.
    private static var handlerEntrance: [UInt8] {
      // pushfq; and $~AC, (%rsp); popfq; jmp *handler
      [0x9c, 0x81, 0x24, 0x24, 0xff, 0xff, 0xfb, 0xff, 0x9d, 0xff, 0x24, 0x25] + bytes(Place.handler)
    }

    /// MOV between a register and an absolute address.
    private static func general(_ slot: UInt8, _ address: UInt64, stores: Bool) -> [UInt8] {
      [0x48 | (slot >> 3) << 2, stores ? 0x89 : 0x8b, 0x04 | (slot & 7) << 3, 0x25] + bytes(address)
    }

    /// The address as a displacement.
    private static func bytes(_ address: UInt64) -> [UInt8] {
      (0..<4).map { UInt8(truncatingIfNeeded: address >> (8 * UInt64($0))) }
    }

    private static func pointer(_ address: UInt64) -> UnsafeMutableRawPointer {
      guard let pointer = UnsafeMutableRawPointer(bitPattern: UInt(address)) else { preconditionFailure("null") }
      return pointer
    }

    private static func put(_ bytes: [UInt8], at address: UInt64) {
      pointer(address).copyMemory(from: bytes, byteCount: bytes.count)
    }

    private static func put(_ word: UInt64, at address: UInt64) {
      pointer(address).storeBytes(of: word, as: UInt64.self)
    }

    private static func word(_ address: UInt64) -> UInt64 { pointer(address).load(as: UInt64.self) }
  }

  extension HostExecutor.State {
    /// Of the instruction.
    var linearRIP: UInt64 {
      selectors.map { (rip + ProgramSegments.segment(UInt64($0.cs)).base) & 0xffff_ffff } ?? rip
    }
  }

  /// The memory that every program has (`penumbra vectors --help`).
  enum ProgramMemory {
    static let code: UInt64 = 0x1000_0000
    static let data: UInt64 = 0x2000_0000
    static let stack: UInt64 = 0x3000_0000
    static let ranges: [ClosedRange<UInt64>] = [code...code + 0xffff, data...data + 0x3fff, stack...stack + 0x1fff]
    /// The last page of the lower half that the kernel lets a program have.
    static let top: UInt64 = 0x7fff_ffff_e000
    /// Nothing is mapped from here on.
    static let nowhere: UInt64 = 0x5000_0000
  }
#endif
