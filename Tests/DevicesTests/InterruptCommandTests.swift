import Devices
import Machine
import Testing

/// Interrupt commands between the local APICs of several processors (SDM vol. 3, 11.6).
@Suite struct InterruptCommandTests {
  typealias Register = InterruptBoard.Register
  typealias Command = InterruptBoard.Command

  @Test func `a physical destination names one processor, and all ones name all`() {
    let board = InterruptBoard(processors: 3)
    board.send(0, 0x51, to: 2)
    #expect(board.taken() == [nil, nil, 0x51])
    board.send(2, 0x52, to: 0)
    #expect(board.taken() == [0x52, nil, nil])
    board.send(1, 0x53, to: 0xff)
    #expect(board.taken() == [0x53, 0x53, 0x53])
    board.send(0, 0x54, to: 3)
    #expect(board.taken() == [nil, nil, nil])
  }

  @Test func `shorthands name oneself, all, and all others`() {
    let board = InterruptBoard(processors: 3)
    board.send(1, 0x61 | Command.toSelf)
    #expect(board.taken() == [nil, 0x61, nil])
    board.send(1, 0x62 | Command.toAll)
    #expect(board.taken() == [0x62, 0x62, 0x62])
    board.send(1, 0x63 | Command.toOthers)
    #expect(board.taken() == [0x63, nil, 0x63])
  }

  @Test func `flat logical destinations are masks`() {
    let board = InterruptBoard(processors: 3)
    for processor in 0..<3 { board.write(processor, Register.logicalDestination, 1 << UInt64(24 + processor)) }
    board.send(0, 0x51 | Command.logical, to: 0b101)
    #expect(board.taken() == [0x51, nil, 0x51])
    board.send(0, 0x52 | Command.logical, to: 0b1000)
    #expect(board.taken() == [nil, nil, nil])
    board.write(1, Register.logicalDestination, 0b1010 << 24)
    board.send(0, 0x53 | Command.logical, to: 0b1000)
    #expect(board.taken() == [nil, 0x53, nil])
  }

  @Test func `clusters have a number and a mask of four`() {
    let board = InterruptBoard(processors: 3)
    for (processor, identifier) in [0x11, 0x12, 0x21].enumerated() {
      board.write(processor, Register.destinationFormat, 0x0fff_ffff)
      board.write(processor, Register.logicalDestination, UInt64(identifier) << 24)
    }
    board.send(0, 0x51 | Command.logical, to: 0x13)
    #expect(board.taken() == [0x51, 0x51, nil])
    board.send(0, 0x52 | Command.logical, to: 0xf1)
    #expect(board.taken() == [0x52, nil, 0x52])
    board.send(0, 0x53 | Command.logical, to: 0x23)
    #expect(board.taken() == [nil, nil, 0x53])
  }

  @Test func `lowest priority chooses the processor that does the least important work`() {
    let board = InterruptBoard(processors: 3)
    for processor in 0..<3 { board.write(processor, Register.logicalDestination, 1 << UInt64(24 + processor)) }
    board.write(0, Register.taskPriority, 0x40)
    board.write(1, Register.taskPriority, 0x20)
    board.write(2, Register.taskPriority, 0x30)
    board.send(0, 0x71 | Command.lowestPriority | Command.logical, to: 0b111)
    #expect(board.taken() == [nil, 0x71, nil])
    board.send(0, 0x72 | Command.lowestPriority | Command.logical, to: 0b101)
    #expect(board.taken() == [nil, nil, 0x72])
    board.write(2, Register.spurious, 0xff)
    board.send(0, 0x73 | Command.lowestPriority | Command.logical, to: 0b101)
    #expect(board.taken() == [0x73, nil, nil], "one that software has disabled is not asked")
  }

  @Test func `INIT, start-up and NMI wait for the processor, whatever its APIC's software enable says`() {
    let board = InterruptBoard(processors: 3)
    board.write(1, Register.spurious, 0xff)
    board.send(0, Command.initialize | Command.assert | Command.toOthers)
    board.send(0, Command.startUp | 0x9a | Command.toOthers)
    #expect(board.devices.signals(processor: 0) == [])
    for processor in 1...2 {
      #expect(board.devices.signals(processor: processor) == [.initialize, .startUp])
      #expect(board.devices.take(.initialize, processor: processor, now: 0) == 0)
      #expect(board.devices.signals(processor: processor) == .startUp)
      #expect(board.devices.take(.startUp, processor: processor, now: 0) == 0x9a)
      #expect(board.devices.signals(processor: processor) == [])
    }
    board.send(0, Command.nonMaskable, to: 1)
    board.send(0, Command.nonMaskable, to: 1)
    #expect(board.devices.signals(processor: 1) == .nonMaskable)
    _ = board.devices.take(.nonMaskable, processor: 1, now: 0)
    #expect(board.devices.signals(processor: 1) == [], "the latch keeps one")
  }

  @Test func `INIT forgets a start-up that came before it, and INIT de-assert says nothing`() {
    let board = InterruptBoard(processors: 2)
    board.send(0, Command.startUp | 0x10, to: 1)
    board.send(0, Command.initialize | Command.assert, to: 1)
    #expect(board.devices.signals(processor: 1) == .initialize)
    _ = board.devices.take(.initialize, processor: 1, now: 0)
    board.send(0, Command.initialize | Command.level, to: 1)
    #expect(board.devices.signals(processor: 1) == [])
  }

  @Test func `INIT resets the APIC but for its identifier and its mode`() {
    let board = InterruptBoard(processors: 2)
    board.write(1, Register.id, 7 << 24)
    board.write(1, Register.taskPriority, 0x40)
    board.write(1, Register.logicalDestination, 0x0200_0000)
    board.write(1, Register.timer, 0x40)
    board.send(0, 0x61, to: 7)
    board.send(0, Command.initialize | Command.assert, to: 7)
    _ = board.devices.take(.initialize, processor: 1, now: 0)
    #expect(board.read(1, Register.id) == 7 << 24)
    #expect(board.read(1, Register.taskPriority) == 0 && board.read(1, Register.spurious) == 0xff)
    #expect(board.read(1, Register.logicalDestination) == 0 && board.read(1, Register.timer) == 1 << 16)
    #expect((0..<8).allSatisfy { board.read(1, Register.requested + $0 * 0x10) == 0 })
    #expect(board.msr(1, MSR.apicBase) == 0xfee0_0800)
    board.extend(1)
    board.send(0, Command.initialize | Command.assert, to: 1)
    _ = board.devices.take(.initialize, processor: 1, now: 0)
    #expect(board.msr(1, MSR.apicBase) == 0xfee0_0c00)
  }

  @Test func `aliased identifiers are all reached`() {
    let board = InterruptBoard(processors: 2)
    board.write(0, Register.id, 9 << 24)
    board.write(1, Register.id, 9 << 24)
    board.send(0, 0x41, to: 9)
    #expect(board.taken() == [0x41, 0x41])
  }

  @Test func `only the bootstrap processor's LINT0 lets the 8259 pair through at the start`() {
    let board = InterruptBoard(processors: 2)
    #expect(board.read(0, Register.lint0) == 0x700 && board.read(1, Register.lint0) == 1 << 16)
    #expect(board.msr(0, MSR.apicBase) == 0xfee0_0900 && board.msr(1, MSR.apicBase) == 0xfee0_0800)
  }

  @Test func `each processor has its own registers at the same address`() {
    let board = InterruptBoard(processors: 2)
    board.write(0, Register.taskPriority, 0x10)
    board.write(1, Register.taskPriority, 0x20)
    #expect(board.read(0, Register.taskPriority) == 0x10 && board.read(1, Register.taskPriority) == 0x20)
    #expect(board.read(0, Register.id) == 0 && board.read(1, Register.id) == 1 << 24)
  }

  @Test func `a timer interrupts its own processor`() {
    let board = InterruptBoard(processors: 2)
    board.write(1, Register.divide, 0b1011)
    board.write(1, Register.timer, 0x45)
    board.write(1, Register.initialCount, 100)
    #expect(board.devices.nextDeadline == 100)
    board.devices.advance(to: 100)
    #expect(board.taken(now: 100) == [nil, 0x45])
  }
}
