import Machine

/// What a PC's firmware leaves in memory for code in real mode: the interrupt vector table, the BIOS data area, handlers
/// for what the board's devices raise, and the reset vector.
///
/// The devices' side of it is `PCDevices`: they are initialised, the lines of those that exist are unmasked, and the
/// timer ticks. So code that goes back to real mode and enables interrupts finds what it would find after QEMU's or any
/// other firmware (`Docs/Decisions/12-firmware-state.md`).
struct Firmware {
  /// Seconds since midnight when the guest is entered: the time of day counts from there.
  let secondOfDay: Int

  /// The segments, for the places where the kernel loads nothing: a loader comes after the firmware.
  func segments(beside loaded: [Segment]) -> [Segment] {
    [
      Segment(name: "BIOS vectors and data", address: GuestPhysical(0), bytes: lowMemory[...], memorySize: 0x500),
      Segment(
        name: "extended BIOS data", address: GuestPhysical(MemoryMap.conventionalEnd), bytes: [1], memorySize: 1024),
      Segment(
        name: "BIOS", address: GuestPhysical(Self.base), bytes: Self.rom[...], memorySize: UInt64(Self.rom.count)),
    ].flatMap { $0.parts(beside: loaded) }
  }

  // MARK: Vectors and data

  /// Vectors for which there is a handler that does something. IRQ 0 to 7 are 0x08 to 0x0f, IRQ 8 to 15 0x70 to 0x77.
  private static func handler(of vector: Int) -> Handler? {
    switch vector {
    case 0x08: .timer
    case 0x09: .keyboard
    case 0x0a...0x0f: .master
    case 0x11: .equipment
    case 0x12: .memorySize
    case 0x13, 0x15: .refuse
    // No device to boot from.
    case 0x18, 0x19: .reset
    case 0x1a: .timeOfDay
    case 0x70: .clock
    case 0x75: .coprocessor
    case 0x71...0x77: .slave
    // Pointers to tables that no device here has: video parameters, diskette, font, hard disks; and vectors left to
    // programs.
    case 0x1d...0x1f, 0x41, 0x46, 0x60...0x67: nil
    default: .nothing
    }
  }

  /// The vector table and the BIOS data area (IBM's *Personal System/2 and Personal Computer BIOS Interface Technical
  /// Reference*).
  private var lowMemory: [UInt8] {
    var memory = ByteWriter(count: 0x500)
    for vector in 0..<256 {
      guard let handler = Self.handler(of: vector) else { continue }
      memory.put(UInt16(truncatingIfNeeded: Self.base + UInt64(Self.offset(of: handler))), at: vector * 4)
      memory.put(UInt16(0xf000), at: vector * 4 + 2)
    }
    memory.put(UInt16(0x3f8), at: 0x400)  // The first serial port.
    memory.put(UInt16(MemoryMap.conventionalEnd >> 4), at: 0x40e)
    // One serial port, a display of 80 x 25 in colour, a coprocessor.
    memory.put(UInt16(0x0222), at: 0x410)
    memory.put(UInt16(MemoryMap.conventionalEnd >> 10), at: 0x413)
    // The keyboard's buffer, which is empty: head, tail, and where it begins and ends.
    for (offset, value) in [(0x41a, 0x1e), (0x41c, 0x1e), (0x480, 0x1e), (0x482, 0x3e)] as [(Int, UInt16)] {
      memory.put(value, at: offset)
    }
    // Text mode 3: columns, page size, shape of the cursor, CRTC's port, last row, height of a character.
    memory.put(UInt8(3), at: 0x449)
    memory.put(UInt16(80), at: 0x44a)
    memory.put(UInt16(0x1000), at: 0x44c)
    memory.put(UInt16(0x0607), at: 0x460)
    memory.put(UInt16(0x3d4), at: 0x463)
    memory.put(UInt8(24), at: 0x484)
    memory.put(UInt16(16), at: 0x485)
    memory.put(ticks, at: 0x46c)
    memory.put(UInt8(0x10), at: 0x496)  // A keyboard of 101 keys.
    return memory.bytes
  }

  /// The timer's ticks since midnight: 1,193,182 Hz / 65536.
  private var ticks: UInt32 { UInt32(truncatingIfNeeded: max(secondOfDay, 0) % 86400 * 1_193_182 / 65536) }

  // MARK: Code

  /// Where the code begins: the last 512 bytes below 1 MiB, so that the reset vector stands at F000:FFF0.
  static let base: UInt64 = 0xffe00

  /// The handlers in the order in which they stand.
  private enum Handler: CaseIterable {
    case timer, keyboard, clock, coprocessor, master, slave
    case equipment, memorySize, timeOfDay, refuse, reset, nothing

    /// The handler's 16-bit code. It needs no place of its own: all jumps are relative.
    var code: [UInt8] {
      switch self {
      // INT 08h: counts ticks at 0040:006C, at midnight days at 0040:0070; INT 1Ch; end of interrupt.
      //   push ax; push ds; xor ax, ax; mov ds, ax
      //   inc dword [46Ch]; cmp dword [46Ch], 1800B0h; jb 1f
      //   mov dword [46Ch], 0; inc byte [470h]
      //   1: int 1Ch; mov al, 20h; out 20h, al; pop ds; pop ax; iret
      case .timer:
        [
          0x50, 0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0x66, 0xff, 0x06, 0x6c, 0x04, 0x66, 0x81, 0x3e, 0x6c, 0x04, 0xb0, 0x00,
          0x18, 0x00, 0x72, 0x0d, 0x66, 0xc7, 0x06, 0x6c, 0x04, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x06, 0x70, 0x04, 0xcd,
          0x1c, 0xb0, 0x20, 0xe6, 0x20, 0x1f, 0x58, 0xcf,
        ]
      // INT 09h: takes the byte. Nobody types, so it answers some command.
      //   push ax; in al, 60h; mov al, 20h; out 20h, al; pop ax; iret
      case .keyboard: [0x50, 0xe4, 0x60, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf]
      // INT 70h: reads the clock's flags, which ends its request; INT 4Ah for the alarm.
      //   push ax; mov al, 0Ch; out 70h, al; in al, 71h; test al, 20h; jz 1f; int 4Ah
      //   1: mov al, 20h; out 0A0h, al; out 20h, al; pop ax; iret
      case .clock:
        [
          0x50, 0xb0, 0x0c, 0xe6, 0x70, 0xe4, 0x71, 0xa8, 0x20, 0x74, 0x02, 0xcd, 0x4a, 0xb0, 0x20, 0xe6, 0xa0, 0xe6,
          0x20, 0x58, 0xcf,
        ]
      // INT 75h: lets the coprocessor's error go (port F0h), and passes it on as the first PC had it, by INT 02h.
      //   push ax; xor al, al; out 0F0h, al; mov al, 20h; out 0A0h, al; out 20h, al; int 2; pop ax; iret
      case .coprocessor:
        [0x50, 0x30, 0xc0, 0xe6, 0xf0, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0xcd, 0x02, 0x58, 0xcf]
      // Lines of the master that nobody expects. A spurious request, which is in no service, has no end.
      //   push ax; mov al, 0Bh; out 20h, al; in al, 20h; test al, al; jz 1f
      //   mov al, 20h; out 20h, al; 1: pop ax; iret
      case .master:
        [0x50, 0xb0, 0x0b, 0xe6, 0x20, 0xe4, 0x20, 0x84, 0xc0, 0x74, 0x04, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf]
      // Lines of the slave: as above, but a spurious request is one to the master, too.
      //   push ax; mov al, 0Bh; out 0A0h, al; in al, 0A0h; test al, al; mov al, 20h; jz 1f
      //   out 0A0h, al; 1: out 20h, al; pop ax; iret
      case .slave:
        [
          0x50, 0xb0, 0x0b, 0xe6, 0xa0, 0xe4, 0xa0, 0x84, 0xc0, 0xb0, 0x20, 0x74, 0x02, 0xe6, 0xa0, 0xe6, 0x20, 0x58,
          0xcf,
        ]
      // INT 11h: AX is the list of equipment.
      //   push ds; xor ax, ax; mov ds, ax; mov ax, [410h]; pop ds; iret
      case .equipment: [0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0xa1, 0x10, 0x04, 0x1f, 0xcf]
      // INT 12h: AX is the size of conventional memory in KiB.
      case .memorySize: [0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0xa1, 0x13, 0x04, 0x1f, 0xcf]
      // INT 1Ah, AH = 0: CX:DX are the ticks, AL whether midnight has passed. Its other functions are refused: the next
      // handler follows.
      //   test ah, ah; jnz refuse; push ds; xor ax, ax; mov ds, ax
      //   mov dx, [46Ch]; mov cx, [46Eh]; xchg al, [470h]; pop ds; iret
      case .timeOfDay:
        [
          0x84, 0xe4, 0x75, 0x13, 0x1e, 0x31, 0xc0, 0x8e, 0xd8, 0x8b, 0x16, 0x6c, 0x04, 0x8b, 0x0e, 0x6e, 0x04, 0x86,
          0x06, 0x70, 0x04, 0x1f, 0xcf,
        ]
      // What is not supported: CF in the caller's flags, AH = 86h.
      //   push bp; mov bp, sp; or byte [bp+6], 1; pop bp; mov ah, 86h; iret
      case .refuse: [0x55, 0x89, 0xe5, 0x80, 0x4e, 0x06, 0x01, 0x5d, 0xb4, 0x86, 0xcf]
      // The reset vector: the keyboard controller resets the board.
      //   mov al, 0FEh; out 64h, al; 1: hlt; jmp 1b
      case .reset: [0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd]
      case .nothing: [0xcf]
      }
    }
  }

  /// A handler's place in the code.
  private static func offset(of handler: Handler) -> Int {
    Handler.allCases.prefix { $0 != handler }.reduce(0) { $0 + $1.code.count }
  }

  private static let rom: [UInt8] = {
    var rom = ByteWriter(count: 0x200)
    rom.put(Handler.allCases.flatMap(\.code)[...], at: 0)
    // The reset vector, a far jump; the date of the BIOS; the model, an AT.
    rom.put(UInt8(0xea), at: 0x1f0)
    rom.put(UInt16(truncatingIfNeeded: base + UInt64(offset(of: .reset))), at: 0x1f1)
    rom.put(UInt16(0xf000), at: 0x1f3)
    rom.put(Array("01/01/24".utf8)[...], at: 0x1f5)
    rom.put(UInt8(0xfc), at: 0x1fe)
    return rom.bytes
  }()
}

extension Segment {
  /// What of the segment lies in no other one of a list that is sorted by address.
  fileprivate func parts(beside others: [Segment]) -> [Segment] {
    var parts: [Segment] = []
    var start = address.rawValue
    func keep(upTo limit: UInt64) {
      guard limit > start else { return }
      let count = UInt64(bytes.count)
      let (from, to) = (min(start - address.rawValue, count), min(limit - address.rawValue, count))
      let slice = bytes[bytes.startIndex + Int(from)..<bytes.startIndex + Int(to)]
      parts.append(Segment(name: name, address: GuestPhysical(start), bytes: slice, memorySize: limit - start))
    }
    for other in others where other.end.rawValue > start && other.address < end {
      keep(upTo: other.address.rawValue)
      start = max(start, other.end.rawValue)
    }
    keep(upTo: end.rawValue)
    return parts
  }
}
