#if os(Linux) && arch(x86_64)
  import Glibc
  import Machine
  import Synchronization

  /// The processor that the tests run on: executes one instruction at a time, as a user's code, to compare with.
  ///
  /// The instruction lies in pages at a fixed place below 4 GiB, so that 32-bit code reaches all of it. It must not
  /// fault: the test's process would die of it.
  public final class HostProcessor: Sendable {
    /// The general registers in encoding order, and RFLAGS.
    public struct Registers: Equatable {
      public var general = [UInt64](repeating: 0, count: 16)
      public var flags: UInt64 = Flag.one
      public init() {}
    }

    public enum Place {
      static let entry: UInt64 = 0x3000_0000
      static let state = entry + 0x1000
      public static let code = entry + 0x2000
      /// A page of operands.
      public static let data = entry + 0x3000
      public static let pages: UInt64 = 4
      // In the page of the state: sixteen registers, then these.
      static let flags = state + 0x80, hostStack = state + 0x88, leave = state + 0x90, target = state + 0x98
    }

    /// Selectors of Linux for a user's code of 32 and 64 bits, and for data.
    private enum Selector {
      static let code32: UInt16 = 0x23, code64: UInt16 = 0x33, data: UInt16 = 0x2b
    }

    /// Nil where the pages are not to be had.
    public static let shared: HostProcessor? = HostProcessor()

    private let enter64: UInt64
    private let enter32: UInt64
    private let leave: UInt64
    /// There is one set of pages.
    private let turn = Mutex<Void>(())

    private init?() {
      let noReplace: Int32 = 0x10_0000
      let pages = mmap(
        UnsafeMutableRawPointer(bitPattern: UInt(Place.entry)), Int(Place.pages) << 12,
        PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | noReplace, -1, 0)
      guard UInt(bitPattern: pages) == UInt(Place.entry) else { return nil }
      let wide = Self.entrance(far: false)
      let narrow = Self.entrance(far: true)
      enter64 = Place.entry
      enter32 = enter64 + UInt64(wide.count)
      leave = enter32 + UInt64(narrow.count)
      Self.put(wide + narrow + Self.exit, at: Place.entry)
    }

    /// Executes `code`, which is one instruction, or some in a row, with these registers and these bytes of the data
    /// page, and leaves in both what became of them.
    public func execute(_ code: [UInt8], size: CodeSize, _ registers: inout Registers, data: inout [UInt8]) {
      turn.withLock { _ in
        var back: [UInt8]
        if size == .bits64 {
          back = [0xff, 0x24, 0x25] + Self.bytes(Place.leave, 4)
        } else {
          back = [0xea] + Self.bytes(leave, 4) + Self.bytes(UInt64(Selector.code64), 2)
        }
        back.append(0xcc)
        Self.put(code + back, at: Place.code)
        Self.put(data, at: Place.data)
        Self.put(registers.general.flatMap { Self.bytes($0, 8) }, at: Place.state)
        Self.put(Self.bytes(registers.flags | Flag.interrupt, 8), at: Place.flags)
        Self.put(Self.bytes(leave, 8), at: Place.leave)
        Self.put(Self.bytes(Place.code, size == .bits64 ? 8 : 4), at: Place.target)
        if size != .bits64 { Self.put(Self.bytes(UInt64(Selector.code32), 2), at: Place.target + 4) }
        let entrance = UnsafeRawPointer(bitPattern: UInt(size == .bits64 ? enter64 : enter32))
        unsafeBitCast(entrance, to: (@convention(c) () -> Void).self)()
        for index in 0..<16 { registers.general[index] = Self.word(Place.state + UInt64(index) * 8) }
        registers.flags = Self.word(Place.flags) & ~Flag.interrupt
        for index in data.indices { data[index] = Self.pointer(Place.data)[index] }
      }
    }

    /// A leaf of CPUID: EAX, EBX, ECX, EDX.
    public func cpuid(_ leaf: UInt32, _ subleaf: UInt32 = 0) -> [UInt32] {
      var registers = Registers()
      registers.general[Int(Slot.rax)] = UInt64(leaf)
      registers.general[Int(Slot.rcx)] = UInt64(subleaf)
      var nothing: [UInt8] = []
      execute([0x0f, 0xa2], size: .bits64, &registers, data: &nothing)
      return [Slot.rax, Slot.rbx, Slot.rcx, Slot.rdx].map { UInt32(truncatingIfNeeded: registers.general[Int($0)]) }
    }

    // MARK: The way in and out

    /// Keeps what the caller wants kept, loads every register from the page of the state, and jumps to the code. DS and
    /// ES, which mean nothing in 64-bit code, have to be valid in 32-bit code.
    private static func entrance(far: Bool) -> [UInt8] {
      var code: [UInt8] = [0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57, 0x9c]
      code += move(Slot.rsp, Place.hostStack, stores: true)
      if far { code += [0xb8] + bytes(UInt64(Selector.data), 4) + [0x8e, 0xd8, 0x8e, 0xc0] }
      code += [0xff, 0x34, 0x25] + bytes(Place.flags, 4) + [0x9d]
      for slot in 0..<16 as Range<UInt8> { code += move(slot, Place.state + UInt64(slot) * 8, stores: false) }
      return code + [0xff, far ? 0x2c : 0x24, 0x25] + bytes(Place.target, 4)
    }

    private static var exit: [UInt8] {
      var code: [UInt8] = []
      for slot in 0..<16 as Range<UInt8> { code += move(slot, Place.state + UInt64(slot) * 8, stores: true) }
      code += move(Slot.rsp, Place.hostStack, stores: false)
      code += [0x9c, 0x8f, 0x04, 0x25] + bytes(Place.flags, 4)
      code += [0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0]
      return code + [0x9d, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3]
    }

    /// MOV between a register and an absolute address.
    private static func move(_ slot: UInt8, _ address: UInt64, stores: Bool) -> [UInt8] {
      [0x48 | (slot >> 3) << 2, stores ? 0x89 : 0x8b, 0x04 | (slot & 7) << 3, 0x25] + bytes(address, 4)
    }

    private static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
    }

    private static func pointer(_ address: UInt64) -> UnsafeMutablePointer<UInt8> {
      guard let pointer = UnsafeMutablePointer<UInt8>(bitPattern: UInt(address)) else { preconditionFailure("null") }
      return pointer
    }

    private static func put(_ bytes: [UInt8], at address: UInt64) {
      for (index, byte) in bytes.enumerated() { pointer(address)[index] = byte }
    }

    private static func word(_ address: UInt64) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(pointer(address)[$1]) << (8 * UInt64($1)) }
    }
  }
#endif
