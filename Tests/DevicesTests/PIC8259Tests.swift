import Devices
import Testing

@Suite struct PIC8259Tests {
  /// A master with vectors from 0x30, nothing masked.
  private func controller(command1: UInt8 = 0x11, command4: UInt8 = 0x01) -> PIC8259 {
    var pic = PIC8259(vectorBase: 0, cascade: 0, isMaster: true)
    pic.write(command1, odd: false)
    for word in [0x30, 0x04, command4] as [UInt8] { pic.write(word, odd: true) }
    return pic
  }

  private func raise(_ pic: inout PIC8259, _ inputs: Int...) {
    for input in inputs {
      pic.set(input, false)
      pic.set(input, true)
    }
  }

  private func ended(_ pic: inout PIC8259, by command: UInt8 = 0x20) -> Int? {
    guard pic.isAsserted else { return nil }
    let input = pic.acknowledge()
    pic.write(command, odd: false)
    return input
  }

  @Test func `it accepts no request until the last initialization word`() {
    var pic = PIC8259(vectorBase: 0, cascade: 0, isMaster: true)
    pic.write(0x11, odd: false)
    raise(&pic, 3)
    for word in [0x47, 0x04, 0x01] as [UInt8] {
      #expect(!pic.isAsserted)
      pic.write(word, odd: true)
    }
    #expect(pic.isAsserted)
    let input = pic.acknowledge()
    #expect(pic.vector(of: input) == 0x43)
  }

  @Test func `without ICW4 and with a single chip only ICW2 follows`() {
    var pic = PIC8259(vectorBase: 0, cascade: 0, isMaster: true)
    pic.write(0x12, odd: false)
    pic.write(0x50, odd: true)
    pic.write(0xa5, odd: true)
    #expect(pic.mask == 0xa5)
    #expect(pic.vectorBase == 0x50)
  }

  @Test func `a lower input is served first and holds up the others until its EOI`() {
    var pic = controller()
    raise(&pic, 5, 3)
    #expect(pic.acknowledge() == 3)
    #expect(!pic.isAsserted)
    raise(&pic, 1)
    #expect(pic.acknowledge() == 1)
    #expect(pic.inService == 0b1010)
    pic.write(0x20, odd: false)
    #expect(pic.inService == 0b1000)
    #expect(!pic.isAsserted)
    pic.write(0x63, odd: false)
    #expect(pic.inService == 0)
    #expect(pic.acknowledge() == 5)
  }

  @Test func `a masked input requests without being served`() {
    var pic = controller()
    pic.write(0x08, odd: true)
    raise(&pic, 3)
    #expect(pic.requests == 0x08)
    #expect(!pic.isAsserted)
    #expect(pic.read(odd: true) == 0x08)
    pic.write(0x00, odd: true)
    #expect(pic.isAsserted)
  }

  @Test func `an edge is served once, however long the input stays high`() {
    var pic = controller()
    raise(&pic, 4)
    #expect(ended(&pic) == 4)
    #expect(!pic.isAsserted)
    raise(&pic, 4)
    #expect(ended(&pic) == 4)
  }

  @Test func `a level is served as long as the input stays high`() {
    var pic = controller()
    pic.levelTriggered = 0x20
    raise(&pic, 5)
    #expect(ended(&pic) == 5)
    #expect(ended(&pic) == 5)
    pic.set(5, false)
    #expect(!pic.isAsserted)
    var triggered = controller(command1: 0x19)
    raise(&triggered, 0)
    #expect(ended(&triggered) == 0)
    #expect(ended(&triggered) == 0)
  }

  @Test func `a request that has gone is acknowledged as the spurious interrupt 7`() {
    var pic = controller()
    raise(&pic, 3)
    pic.set(3, false)
    let input = pic.acknowledge()
    #expect(input == nil)
    #expect(pic.vector(of: input) == 0x37)
    #expect(pic.inService == 0)
  }

  @Test func `automatic EOI leaves nothing in service and may rotate`() {
    var pic = controller(command4: 0x03)
    raise(&pic, 0, 1)
    #expect(pic.acknowledge() == 0)
    #expect(pic.inService == 0)
    #expect(pic.acknowledge() == 1)
    pic.write(0x80, odd: false)
    raise(&pic, 0, 1)
    #expect(pic.acknowledge() == 0)
    raise(&pic, 0)
    #expect(pic.acknowledge() == 1)
    pic.write(0x00, odd: false)
    raise(&pic, 2)
    #expect(pic.acknowledge() == 2)
    raise(&pic, 2)
    #expect(pic.acknowledge() == 2)
  }

  @Test func `rotation makes the input just served, or the one named, the least urgent`() {
    var pic = controller()
    raise(&pic, 2, 6)
    #expect(ended(&pic, by: 0xa0) == 2)
    raise(&pic, 2)
    #expect(ended(&pic) == 6)
    #expect(ended(&pic) == 2)
    pic.write(0xc5, odd: false)
    raise(&pic, 0, 6)
    #expect(ended(&pic, by: 0xe6) == 6)
    raise(&pic, 6, 7)
    #expect(ended(&pic) == 7)
    #expect(ended(&pic) == 0)
    #expect(ended(&pic) == 6)
  }

  @Test func `in special mask mode a masked level in service lets the others through`() {
    var pic = controller()
    raise(&pic, 2)
    #expect(pic.acknowledge() == 2)
    raise(&pic, 5)
    #expect(!pic.isAsserted)
    pic.write(0x04, odd: true)
    pic.write(0x68, odd: false)
    #expect(pic.acknowledge() == 5)
    // The non-specific EOI passes over the masked level.
    pic.write(0x20, odd: false)
    #expect(pic.inService == 0x04)
    pic.write(0x48, odd: false)
    raise(&pic, 5)
    #expect(!pic.isAsserted)
  }

  @Test func `in special fully nested mode a slave in service may interrupt again`() {
    var pic = controller(command4: 0x11)
    raise(&pic, 2)
    #expect(pic.acknowledge() == 2)
    raise(&pic, 3)
    #expect(!pic.isAsserted)
    raise(&pic, 2)
    #expect(pic.acknowledge() == 2)
    var plain = controller()
    raise(&plain, 2)
    #expect(plain.acknowledge() == 2)
    raise(&plain, 2)
    #expect(!plain.isAsserted)
  }

  @Test func `OCW3 selects the register read, and poll acknowledges`() {
    var pic = controller()
    raise(&pic, 1, 6)
    #expect(pic.acknowledge() == 1)
    #expect(pic.read(odd: false) == 0x40)
    pic.write(0x0b, odd: false)
    #expect(pic.read(odd: false) == 0x02)
    pic.write(0x20, odd: false)
    pic.write(0x0c, odd: false)
    #expect(pic.read(odd: false) == 0x86)
    #expect(pic.read(odd: false) == 0x40)
    pic.write(0x0c, odd: false)
    #expect(pic.read(odd: false) == 0x00)
  }

  @Test func `the pair serves lines 8 to 15 through the cascade, in the place of line 2`() {
    let board = Board()
    board.startInterrupts(unmasking: 4, 8, 12)
    var pair = board.devices.state.interrupts.pic
    pair.set(4, true)
    pair.set(12, true)
    #expect(pair.acknowledge() == 0x3c)
    #expect(pair.master.inService == 0x04)
    #expect(pair.slave.inService == 0x10)
    #expect(!pair.isAsserted)
    // A more urgent line of the slave has to wait for the master's EOI.
    pair.set(8, true)
    #expect(!pair.isAsserted)
    pair.write(0x20, slave: false, odd: false)
    #expect(pair.acknowledge() == 0x38)
    for _ in 0..<2 { pair.write(0x20, slave: true, odd: false) }
    pair.write(0x20, slave: false, odd: false)
    #expect(pair.acknowledge() == 0x34)
  }

  @Test func `the pair serves two lines of the slave one after the other`() {
    let board = Board()
    board.startInterrupts(unmasking: 9, 10)
    var pair = board.devices.state.interrupts.pic
    pair.set(9, true)
    pair.set(10, true)
    for vector in [0x39, 0x3a] as [UInt8] {
      #expect(pair.isAsserted)
      #expect(pair.acknowledge() == vector)
      pair.write(0x20, slave: true, odd: false)
      pair.write(0x20, slave: false, odd: false)
    }
    #expect(!pair.isAsserted)
  }

  @Test func `a slave with automatic EOI makes an edge for each of its requests`() {
    let board = Board()
    board.startInterrupts(unmasking: 9, 10)
    var pair = board.devices.state.interrupts.pic
    pair.write(0x11, slave: true, odd: false)
    for word in [0x38, 0x02, 0x03] as [UInt8] { pair.write(word, slave: true, odd: true) }
    pair.set(9, true)
    pair.set(10, true)
    #expect(pair.acknowledge() == 0x39)
    pair.write(0x20, slave: false, odd: false)
    #expect(pair.isAsserted)
    #expect(pair.acknowledge() == 0x3a)
  }

  @Test func `a slave without a request answers with the spurious interrupt 15`() {
    var slave = PIC8259(vectorBase: 0x38, cascade: 2, isMaster: false)
    let input = slave.acknowledge()
    #expect(slave.vector(of: input) == 0x3f)
  }

  @Test func `a line that falls before its acknowledge leaves a spurious interrupt on the pair`() {
    let board = Board()
    board.startInterrupts(unmasking: 12)
    var pair = board.devices.state.interrupts.pic
    pair.set(12, true)
    pair.set(12, false)
    #expect(!pair.isAsserted)
    #expect(pair.acknowledge() == 0x37)
  }

  @Test func `the ELCR keeps the lines of the board edge-triggered`() {
    let board = Board()
    board.out(0x4d0, 0xff)
    board.out(0x4d1, 0xff)
    #expect(board.input(0x4d0) == 0xf8)
    #expect(board.input(0x4d1) == 0xde)
    board.startInterrupts(unmasking: 11)
    var pair = board.devices.state.interrupts.pic
    pair.set(11, true)
    for _ in 0..<2 {
      #expect(pair.acknowledge() == 0x3b)
      pair.write(0x20, slave: true, odd: false)
      pair.write(0x20, slave: false, odd: false)
    }
  }

  @Test func `polling the slave takes its request from the cascade`() {
    let board = Board()
    board.startInterrupts(unmasking: 9)
    var pair = board.devices.state.interrupts.pic
    pair.set(9, true)
    pair.write(0x0c, slave: true, odd: false)
    #expect(pair.read(slave: true, odd: false) == 0x81)
    #expect(!pair.isAsserted)
  }
}
