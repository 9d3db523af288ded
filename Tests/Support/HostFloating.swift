#if os(Linux) && arch(x86_64)
  import Glibc
  import Machine

  /// One x87 or MMX instruction on the host's own processor, on many operands in a row.
  ///
  /// It runs in this process. An exception of the x87 that is not masked stays pending and is never raised: nothing
  /// that follows waits for it.
  public final class HostFloating {
    /// A record in memory: FXSAVE's area before and after, memory, the rest, FNSTENV's environment.
    private enum Offset {
      static let after = 512, memory = 1024, flagsBefore = 1152, flagsAfter = 1160, rax = 1168, environment = 1184
      static let stride = 1280
    }

    private static let size = 4096
    private let code: UnsafeMutableRawPointer
    private let data: UnsafeMutableRawPointer
    private let capacity: Int

    /// - Parameter capacity: the most records of one run.
    public init(_ instruction: [UInt8], capacity: Int) {
      let pages = mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let pages, pages != MAP_FAILED else { preconditionFailure("no memory for code") }
      code = pages
      self.capacity = capacity
      data = .allocate(byteCount: capacity * Offset.stride, alignment: 64)
      let bytes = Self.program(instruction)
      code.copyMemory(from: bytes, byteCount: bytes.count)
      precondition(mprotect(code, Self.size, PROT_READ | PROT_EXEC) == 0, "memory cannot be made executable")
    }

    deinit {
      munmap(code, Self.size)
      data.deallocate()
    }

    private static func program(_ instruction: [UInt8]) -> [UInt8] {
      func word(_ value: Int) -> [UInt8] { withUnsafeBytes(of: Int32(value).littleEndian) { Array($0) } }
      func operand(_ opcode: [UInt8], _ register: UInt8, _ offset: Int) -> [UInt8] {
        opcode + [0x87 | register << 3] + word(offset)
      }
      // push %rbx; sub $8, %rsp; stmxcsr (%rsp); mov %rsi, %rbx. The caller's MXCSR comes back at the end: whoever runs on
      // the thread next relies on it.
      var program: [UInt8] = [0x53, 0x48, 0x83, 0xec, 0x08, 0x0f, 0xae, 0x1c, 0x24, 0x48, 0x89, 0xf3]
      let top = program.count
      program += operand([0x48, 0x0f, 0xae], 1, 0)  // fxrstor64
      program += operand([0x48, 0x8b], 0, Offset.rax)
      program += operand([0xff], 6, Offset.flagsBefore) + [0x9d]  // push; popfq
      program += instruction
      program += operand([0x48, 0x89], 0, Offset.rax)
      program += [0x9c] + operand([0x8f], 0, Offset.flagsAfter)  // pushfq; pop
      program += operand([0x48, 0x0f, 0xae], 0, Offset.after)  // fxsave64
      program += operand([0xd9], 6, Offset.environment)  // fnstenv
      program += [0x48, 0x81, 0xc7] + word(Offset.stride)  // add, %rdi
      program += [0x48, 0xff, 0xcb, 0x0f, 0x85]  // dec %rbx; jne
      program += word(top - program.count - 4)
      // fninit; cld; ldmxcsr (%rsp); add $8, %rsp; pop %rbx; ret
      return program + [0xdb, 0xe3, 0xfc, 0x0f, 0xae, 0x14, 0x24, 0x48, 0x83, 0xc4, 0x08, 0x5b, 0xc3]
    }

    /// Executes the instruction on each record.
    public func run(_ records: [FloatingRecord]) -> [FloatingRecord] {
      precondition(records.count <= capacity && !records.isEmpty)
      for (index, record) in records.enumerated() { put(record, data + index * Offset.stride) }
      typealias Function = @convention(c) (UnsafeMutableRawPointer, Int) -> Void
      unsafeBitCast(code, to: Function.self)(data, records.count)
      return records.indices.map { get(data + $0 * Offset.stride) }
    }

    private func put(_ record: FloatingRecord, _ place: UnsafeMutableRawPointer) {
      place.initializeMemory(as: UInt8.self, repeating: 0, count: Offset.stride)
      place.storeBytes(of: record.x87.control, as: UInt16.self)
      place.storeBytes(of: record.x87.statusWord, toByteOffset: 2, as: UInt16.self)
      place.storeBytes(of: record.x87.tags, toByteOffset: 4, as: UInt8.self)
      place.storeBytes(of: record.mxcsr, toByteOffset: 24, as: UInt32.self)
      for i in 0..<8 {
        place.storeBytes(of: record.x87[i].significand, toByteOffset: 32 + 16 * i, as: UInt64.self)
        place.storeBytes(of: record.x87[i].head, toByteOffset: 40 + 16 * i, as: UInt16.self)
        place.storeBytes(of: record.xmm[i], toByteOffset: 160 + 16 * i, as: Vector128.self)
      }
      for (index, word) in record.memory.enumerated() {
        place.storeBytes(of: word, toByteOffset: Offset.memory + 8 * index, as: UInt64.self)
      }
      place.storeBytes(of: record.flags | 0x202, toByteOffset: Offset.flagsBefore, as: UInt64.self)
      place.storeBytes(of: record.rax, toByteOffset: Offset.rax, as: UInt64.self)
    }

    private func get(_ place: UnsafeMutableRawPointer) -> FloatingRecord {
      let after = place + Offset.after
      let environment = place + Offset.environment
      var record = FloatingRecord()
      record.x87.control = after.load(as: UInt16.self)
      record.x87.statusWord = after.load(fromByteOffset: 2, as: UInt16.self)
      record.x87.tags = after.load(fromByteOffset: 4, as: UInt8.self)
      record.mxcsr = after.load(fromByteOffset: 24, as: UInt32.self)
      for i in 0..<8 {
        record.x87.registers[(record.x87.top + i) & 7] = ExtendedReal(
          significand: after.load(fromByteOffset: 32 + 16 * i, as: UInt64.self),
          head: after.load(fromByteOffset: 40 + 16 * i, as: UInt16.self))
        record.xmm[i] = after.load(fromByteOffset: 160 + 16 * i, as: Vector128.self)
      }
      record.memory = (0..<16).map { place.load(fromByteOffset: Offset.memory + 8 * $0, as: UInt64.self) }
      record.flags = place.load(fromByteOffset: Offset.flagsAfter, as: UInt64.self) & 0x8d5
      record.rax = place.load(fromByteOffset: Offset.rax, as: UInt64.self)
      record.tags = environment.load(fromByteOffset: 8, as: UInt16.self)
      record.x87.opcode = environment.load(fromByteOffset: 18, as: UInt16.self) & 0x7ff
      let pointer = environment.load(fromByteOffset: 20, as: UInt32.self)
      let memory = UInt32(truncatingIfNeeded: UInt(bitPattern: place + Offset.memory))
      record.operand = pointer == 0 ? .max : UInt64(pointer &- memory)
      return record
    }
  }
#endif
