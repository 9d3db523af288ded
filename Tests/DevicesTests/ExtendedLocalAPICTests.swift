import Devices
import Machine
import Testing

/// IA32_APIC_BASE, x2APIC mode and the deadline timer (SDM vol. 3, 11.4.3, 11.5.4.1 and 11.12).
@Suite struct ExtendedLocalAPICTests {
  typealias Register = InterruptBoard.Register

  // MARK: IA32_APIC_BASE

  @Test(arguments: [
    (from: "disabled", to: ["disabled", "enabled"]), (from: "enabled", to: ["disabled", "enabled", "extended"]),
    (from: "extended", to: ["disabled", "extended"]),
  ])
  func `modes change only as figure 11-27 has it`(from: String, to allowed: [String]) {
    let values: [(name: String, bits: UInt64)] = [
      ("disabled", 0), ("invalid", 0x400), ("enabled", 0x800), ("extended", 0xc00),
    ]
    for (name, bits) in values {
      let board = InterruptBoard()
      if from == "extended" { board.extend(0) }
      if from == "disabled" { board.setMSR(0, MSR.apicBase, 0xfee0_0100) }
      let before = board.msr(0, MSR.apicBase)
      #expect(board.setMSR(0, MSR.apicBase, 0xfee0_0100 | bits) == allowed.contains(name), "to \(name)")
      #expect(board.msr(0, MSR.apicBase) == (allowed.contains(name) ? 0xfee0_0100 | bits : before))
    }
  }

  @Test func `disabled, its addresses answer with ones, its task priority stays, and the 8259 pair goes through`() {
    let board = InterruptBoard()
    board.write(0, Register.lint0, 1 << 16)
    board.setMSR(0, MSR.apicBase, 0xfee0_0100)
    #expect(board.read(0, 0x30) == 0xffff_ffff)
    #expect(board.devices.unclaimed.map(\.description) == ["address 0xfee00030"])
    board.devices.setTaskPriority(9, processor: 0, now: 0)
    #expect(board.devices.taskPriority(processor: 0) == 9)
    raiseTimer(board)
    #expect(board.devices.interruptAsserted(processor: 0))
    board.setMSR(0, MSR.apicBase, 0xfee0_0900)
    #expect(board.read(0, Register.taskPriority) == 0x90 && board.read(0, Register.spurious) == 0xff)
    #expect(!board.devices.interruptAsserted(processor: 0), "LINT0 is masked as after a reset")
  }

  /// The 8259 pair has an interrupt from the timer.
  private func raiseTimer(_ board: InterruptBoard) {
    for (port, value) in [(0x20, 0x11), (0x21, 0x20), (0x21, 4), (0x21, 1), (0x21, 0xfe)] as [(UInt16, UInt32)] {
      board.devices.writePort(port, width: 1, value: value, now: 0)
    }
    for value in [0x34, 0x10, 0x00] as [UInt32] {
      board.devices.writePort(value == 0x34 ? 0x43 : 0x40, width: 1, value: value, now: 0)
    }
    board.devices.advance(to: 1_000_000)
  }

  @Test func `a processor without a local APIC takes the 8259 pair's interrupts`() {
    let board = InterruptBoard(hasLocalAPICs: false)
    #expect(board.read(0, 0x30) == 0xffff_ffff)
    raiseTimer(board)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 1_000_000) == 0x20)
  }

  @Test func `moved, the registers answer at the new address alone`() {
    let board = InterruptBoard()
    board.setMSR(0, MSR.apicBase, 0xfed4_0900)
    let version = GuestPhysical(0xfed4_0030)
    #expect(board.devices.readRegister(version, width: 4, processor: 0, now: 0) == 0x5_0014)
    #expect(board.read(0, 0x30) == 0xffff_ffff)
  }

  @Test func `an identifier that software has written is gone after the APIC was disabled`() {
    let board = InterruptBoard(processors: 2)
    board.write(1, Register.id, 5 << 24)
    board.setMSR(1, MSR.apicBase, 0xfee0_0000)
    board.setMSR(1, MSR.apicBase, 0xfee0_0800)
    #expect(board.read(1, Register.id) == 1 << 24)
  }

  // MARK: Registers

  /// What table 11-6 says of each register.
  private static let readable: Set<UInt32> = Set(
    [0x802, 0x803, 0x808, 0x80a, 0x80d, 0x80f, 0x828, 0x830] + Array(0x810...0x827) + Array(0x832...0x837)
      + [0x838, 0x839, 0x83e])
  private static let writable: Set<UInt32> = Set(
    [0x808, 0x80b, 0x80f, 0x828, 0x830, 0x838, 0x83e, 0x83f] + Array(0x832...0x837))

  @Test func `in x2APIC mode the registers of table 11-6 are there and no others`() {
    let board = InterruptBoard()
    for number in MSR.extendedAPIC {
      #expect(board.msr(0, number) == nil && !board.setMSR(0, number, 0), "in xAPIC mode")
    }
    board.extend(0)
    for number in MSR.extendedAPIC {
      #expect((board.msr(0, number) != nil) == Self.readable.contains(number), "reading \(number)")
      #expect(board.setMSR(0, number, 0) == Self.writable.contains(number), "writing \(number)")
    }
    #expect(board.read(0, 0x30) == 0xffff_ffff, "not in memory")
  }

  @Test(
    arguments: [
      (0x808, 0xff), (0x80b, 0), (0x80f, 0x1ff), (0x828, 0), (0x830, 0xffff_ffff_000c_cfff), (0x832, 0x7_00ff),
      (0x833, 0x1_07ff), (0x834, 0x1_07ff), (0x835, 0x1_a7ff), (0x836, 0x1_a7ff), (0x837, 0x1_00ff),
      (0x838, 0xffff_ffff), (0x83e, 0xb), (0x83f, 0xff),
    ] as [(UInt32, UInt64)])
  func `a reserved bit set in what is written is refused`(number: UInt32, allowed: UInt64) {
    let board = InterruptBoard()
    board.extend(0)
    for bit in 0..<64 as Range<UInt64> {
      #expect(board.setMSR(0, number, 1 << bit) == (allowed >> bit & 1 != 0), "bit \(bit)")
    }
  }

  @Test func `identifiers have 32 bits and logical destinations follow from them`() {
    let board = InterruptBoard(processors: 18)
    for processor in [0, 1, 17] {
      board.extend(processor)
      #expect(board.msr(processor, 0x802) == UInt64(processor))
    }
    #expect([0, 1, 17].map { board.msr($0, 0x80d) } == [1, 2, 0x1_0002])
  }

  @Test func `a command of 64 bits reaches one, many or all`() {
    let board = InterruptBoard(processors: 18)
    for processor in 0..<18 { board.extend(processor) }
    func interrupted(_ command: UInt64) -> [Int] {
      board.setMSR(0, 0x830, command)
      return board.taken().enumerated().filter { $0.element != nil }.map(\.offset)
    }
    #expect(interrupted(17 << 32 | 0x51) == [17])
    #expect(interrupted(0xff << 32 | 0x51) == [], "0xff is an identifier like others")
    #expect(interrupted(0xffff_ffff << 32 | 0x51) == Array(0..<18))
    #expect(interrupted(0x1_0003 << 32 | 1 << 11 | 0x51) == [16, 17])
    #expect(interrupted(0x0_8005 << 32 | 1 << 11 | 0x51) == [0, 2, 15])
    #expect(board.msr(0, 0x830) == 0x0_8005 << 32 | 1 << 11 | 0x51)
  }

  @Test func `the self-interrupt register interrupts its processor`() {
    let board = InterruptBoard(processors: 2)
    board.extend(1)
    board.setMSR(1, 0x83f, 0x77)
    #expect(board.taken() == [nil, 0x77])
    board.setMSR(1, 0x83f, 0x0f)
    board.setMSR(1, 0x828, 0)
    #expect(board.msr(1, 0x828) == 1 << 5)
  }

  // MARK: Deadlines

  /// In TSC-deadline mode, vector 0x40.
  private func deadlineBoard() -> InterruptBoard {
    let board = InterruptBoard()
    board.write(0, Register.timer, 2 << 17 | 0x40)
    return board
  }

  @Test func `the deadline interrupts once, when the time stamp reaches it`() {
    let board = deadlineBoard()
    board.setMSR(0, MSR.timeStampDeadline, 5000, now: 100)
    #expect(board.devices.nextDeadline == 5000 && board.msr(0, MSR.timeStampDeadline, now: 200) == 5000)
    board.devices.advance(to: 4999)
    #expect(!board.devices.interruptAsserted(processor: 0))
    board.devices.advance(to: 5000)
    #expect(board.taken(now: 5000) == [0x40])
    #expect(board.msr(0, MSR.timeStampDeadline, now: 5000) == 0 && board.devices.nextDeadline == .max)
  }

  @Test func `a deadline that has passed interrupts at once, and 0 disarms`() {
    let board = deadlineBoard()
    board.setMSR(0, MSR.timeStampDeadline, 50, now: 100)
    #expect(board.taken(now: 100) == [0x40])
    board.setMSR(0, MSR.timeStampDeadline, 500, now: 100)
    board.setMSR(0, MSR.timeStampDeadline, 0, now: 100)
    #expect(board.devices.nextDeadline == .max)
    board.devices.advance(to: 1000)
    #expect(board.taken(now: 1000) == [nil])
  }

  @Test func `a time stamp counter that is set takes the deadline with it`() {
    let board = deadlineBoard()
    board.devices.setTimeStampOffset(1000, processor: 0, now: 0)
    board.setMSR(0, MSR.timeStampDeadline, 5000)
    #expect(board.devices.nextDeadline == 4000)
    board.devices.setTimeStampOffset(0 &- 1000, processor: 0, now: 2000)
    #expect(board.devices.nextDeadline == 6000)
    board.devices.setTimeStampOffset(5000, processor: 0, now: 2000)
    #expect(board.taken(now: 2000) == [0x40])
  }

  @Test func `only deadline mode has a deadline, and it has no count`() {
    let board = InterruptBoard()
    board.write(0, Register.timer, 0x40)
    board.setMSR(0, MSR.timeStampDeadline, 500)
    #expect(board.msr(0, MSR.timeStampDeadline) == 0 && board.devices.nextDeadline == .max)
    board.write(0, Register.initialCount, 100)
    board.write(0, Register.timer, 2 << 17 | 0x40)
    #expect(board.devices.nextDeadline == .max, "a change of mode disarms")
    board.write(0, Register.initialCount, 100)
    #expect(board.read(0, Register.initialCount) == 0 && board.read(0, Register.currentCount) == 0)
    board.setMSR(0, MSR.timeStampDeadline, 500)
    board.write(0, Register.timer, 1 << 16 | 2 << 17 | 0x40)
    board.devices.advance(to: 600)
    #expect(board.taken(now: 600) == [nil] && board.msr(0, MSR.timeStampDeadline, now: 600) == 0)
  }

  @Test func `one-shot and periodic change into each other without a new count`() {
    let board = InterruptBoard()
    board.write(0, Register.divide, 0b1011)
    board.write(0, Register.timer, 0x40)
    board.write(0, Register.initialCount, 1000)
    board.write(0, Register.timer, 1 << 17 | 0x40, now: 400)
    #expect(board.read(0, Register.currentCount, now: 400) == 600)
    #expect(board.devices.nextDeadline == 1000)
    board.devices.advance(to: 1100)
    #expect(board.read(0, Register.currentCount, now: 1100) == 900)
    board.write(0, Register.timer, 0x40, now: 1100)
    board.devices.advance(to: 2000)
    #expect(board.read(0, Register.currentCount, now: 2500) == 0)
  }

  // MARK: Pins and errors

  @Test func `LINT0 in fixed mode makes a vector of the 8259 pair's output`() {
    let board = InterruptBoard()
    board.write(0, Register.lint0, 0x55)
    raiseTimer(board)
    #expect(board.taken(now: 1_000_000) == [0x55])
    board.devices.advance(to: 2_000_000)
    #expect(board.taken(now: 2_000_000) == [nil], "the pair's output has not fallen")
  }

  @Test func `LINT0 level-triggered interrupts again after the end of interrupt`() {
    let board = InterruptBoard()
    board.write(0, Register.lint0, 1 << 15 | 0x55)
    raiseTimer(board)
    #expect(board.read(0, Register.lint0, now: 1_000_000) == 1 << 15 | 1 << 14 | 0x55)
    for _ in 0..<2 {
      #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 1_000_000) == 0x55)
      #expect(!board.devices.interruptAsserted(processor: 0))
      board.write(0, Register.endOfInterrupt, 0, now: 1_000_000)
      #expect(board.devices.interruptAsserted(processor: 0))
    }
  }

  @Test func `LINT0 in NMI mode latches an NMI at the rise`() {
    let board = InterruptBoard()
    board.write(0, Register.lint0, 4 << 8)
    raiseTimer(board)
    #expect(board.devices.signals(processor: 0) == .nonMaskable)
  }

  @Test func `an unmasked error entry interrupts for an error`() {
    let board = InterruptBoard()
    board.write(0, Register.error, 0x66)
    board.send(0, 0x05)
    #expect(board.taken() == [0x66])
    _ = board.read(0, 0x400)
    #expect(board.taken() == [0x66])
    board.write(0, Register.errors, 0)
    #expect(board.read(0, Register.errors) == 1 << 5 | 1 << 7)
  }

  @Test func `an interrupt that the task priority takes back is acknowledged as spurious`() {
    let board = InterruptBoard()
    board.write(0, Register.spurious, 0x1ef)
    board.send(0, 0x51 | InterruptBoard.Command.toSelf)
    board.write(0, Register.taskPriority, 0x60)
    #expect(board.devices.acknowledgeInterrupt(processor: 0, now: 0) == 0xef)
    #expect((0..<8).allSatisfy { board.read(0, Register.inService + $0 * 0x10) == 0 }, "nothing is in service")
  }
}
