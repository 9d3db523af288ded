import Devices
import Testing

@Suite struct RTCTests {
  private func clock(_ date: CalendarDate = CalendarDate(year: 2023, month: 12, day: 31, hour: 23, minute: 59)) -> RTC {
    RTC(date: date)
  }

  private func read(_ clock: inout RTC, _ register: UInt8) -> UInt8 {
    clock.select(register)
    return clock.read()
  }

  private func write(_ clock: inout RTC, _ register: UInt8, _ value: UInt8) {
    clock.select(register)
    clock.write(value)
  }

  /// Second, minute, hour, weekday, day, month, year and century.
  private func registers(_ clock: inout RTC) -> [UInt8] {
    [0, 2, 4, 6, 7, 8, 9, 0x32].map { read(&clock, $0) }
  }

  @Test func `it starts at the date given, in BCD, and carries from the second to the century`() {
    var clock = clock(CalendarDate(year: 2099, month: 12, day: 31, hour: 23, minute: 59, second: 58))
    #expect(registers(&clock) == [0x58, 0x59, 0x23, 5, 0x31, 0x12, 0x99, 0x20])
    clock.advance(to: RTC.hertz * 2 - 1)
    #expect(read(&clock, 0) == 0x59)
    clock.advance(to: RTC.hertz * 2)
    #expect(registers(&clock) == [0, 0, 0, 6, 1, 1, 0, 0x21])
  }

  @Test func `register B selects binary and 12 hours`() {
    var clock = clock()
    write(&clock, 0x0b, 0x06)
    #expect(registers(&clock) == [0, 59, 23, 1, 31, 12, 23, 20])
    write(&clock, 0x0b, 0x00)
    #expect(read(&clock, 4) == 0x91)
    write(&clock, 4, 0x12)
    #expect(clock.date.hour == 0)
    #expect(read(&clock, 4) == 0x12)
    write(&clock, 4, 0x92)
    #expect(clock.date.hour == 12)
    write(&clock, 4, 0x07)
    #expect(clock.date.hour == 7)
  }

  @Test func `UIP announces the update for 2228 microseconds`() {
    var clock = clock()
    for (cycle, isUpdating) in [
      (0, false), (RTC.hertz - 74, false), (RTC.hertz - 73, true), (RTC.hertz - 1, true), (RTC.hertz, false),
    ] {
      clock.advance(to: cycle)
      #expect(read(&clock, 0x0a) & 0x80 == (isUpdating ? 0x80 : 0), "at \(cycle)")
    }
  }

  @Test func `a clock being set stands still, without UIP or update interrupt`() {
    var clock = clock()
    write(&clock, 0x0b, 0x92)
    #expect(read(&clock, 0x0b) == 0x82)
    clock.advance(to: RTC.hertz * 5 - 1)
    #expect(read(&clock, 0x0a) & 0x80 == 0)
    #expect(read(&clock, 0) == 0)
    for (register, value) in [(0, 0x30), (2, 0x15), (4, 0x08), (7, 0x29), (8, 0x02), (9, 0x24)] as [(UInt8, UInt8)] {
      write(&clock, register, value)
    }
    write(&clock, 0x0b, 0x02)
    clock.advance(to: RTC.hertz * 5)
    #expect(clock.date == CalendarDate(year: 2024, month: 2, day: 29, hour: 8, minute: 15, second: 31))
  }

  @Test func `after a divider reset the first second takes half as long`() {
    var clock = clock()
    write(&clock, 0x0a, 0x70)
    clock.advance(to: 100_000)
    #expect(read(&clock, 0) == 0)
    write(&clock, 0x0a, 0x26)
    clock.advance(to: 100_000 + RTC.hertz / 2 - 1)
    #expect(read(&clock, 0) == 0)
    clock.advance(to: 100_000 + RTC.hertz / 2)
    #expect(read(&clock, 0) == 1)
  }

  @Test(arguments: [(1, 128), (2, 256), (3, 4), (6, 32), (15, 16384)] as [(UInt8, UInt64)])
  func `the periodic interrupt comes at register A's rate`(rate: UInt8, period: UInt64) {
    var clock = clock()
    write(&clock, 0x0a, 0x20 | rate)
    write(&clock, 0x0b, 0x42)
    for time in stride(from: period, through: period * 4, by: Int(period)) {
      #expect(clock.nextInterrupt == time)
      clock.advance(to: time - 1)
      #expect(!clock.isAsserted)
      clock.advance(to: time)
      #expect(clock.isAsserted)
      #expect(clock.nextInterrupt == nil)
      #expect(read(&clock, 0x0c) & 0xc0 == 0xc0)
      #expect(!clock.isAsserted)
    }
  }

  @Test func `the update interrupt comes at every second's end`() {
    var clock = clock()
    write(&clock, 0x0b, 0x12)
    clock.advance(to: 100)
    #expect(clock.nextInterrupt == RTC.hertz)
    clock.advance(to: RTC.hertz)
    #expect(read(&clock, 0x0c) & 0x90 == 0x90)
    #expect(clock.nextInterrupt == RTC.hertz * 2)
  }

  @Test func `flags rise without an interrupt when it is not enabled`() {
    var clock = clock()
    clock.advance(to: RTC.hertz)
    #expect(!clock.isAsserted)
    #expect(read(&clock, 0x0c) == 0x50)
    #expect(read(&clock, 0x0c) == 0x00)
  }

  @Test(
    arguments: [
      ([0x30, 0x59, 0x23], 30), ([0x00, 0x00, 0x00], 60), ([0x00, 0x59, 0x23], 86400), ([0xff, 0xff, 0xff], 1),
      ([0x00, 0xc0, 0xc0], 60), ([0x05, 0x10, 0xff], 665), ([0x61, 0xff, 0xff], nil), ([0x00, 0xff, 0x24], nil),
      ([0x59, 0x58, 0x23], 86399), ([0x75, 0xff, 0xff], nil), ([0x59, 0x60, 0xff], nil),
    ] as [([UInt8], UInt64?)])
  func `the alarm comes at the next time that matches`(alarm: [UInt8], seconds: UInt64?) {
    var clock = clock()
    for (index, value) in alarm.enumerated() { write(&clock, UInt8(index * 2 + 1), value) }
    write(&clock, 0x0b, 0x22)
    #expect(clock.nextInterrupt == seconds.map { $0 * RTC.hertz })
    var late = clock
    late.advance(to: RTC.hertz * 100_000)
    #expect(late.isAsserted == (seconds != nil))
    guard let seconds else { return }
    clock.advance(to: seconds * RTC.hertz - 1)
    #expect(!clock.isAsserted)
    clock.advance(to: seconds * RTC.hertz)
    #expect(clock.isAsserted)
  }

  @Test func `time passes alike in one step and in many`() {
    var stepped = clock()
    var jumped = stepped
    for step in 1...5000 as ClosedRange<UInt64> { stepped.advance(to: step * 1_000_003) }
    jumped.advance(to: 5000 * 1_000_003)
    #expect(stepped == jumped)
  }

  @Test func `line 8 reaches the processor, and its deadline is in the machine's ticks`() {
    let board = Board(clockHertz: 1_000_000)
    board.startInterrupts(unmasking: 8)
    #expect(board.devices.nextDeadline == .max)
    board.out(0x70, 0x8b)
    board.out(0x71, 0x12)
    #expect(board.devices.nextDeadline == 1_000_000)
    board.advance(to: 1_000_000)
    #expect(board.interrupt() == 0x38)
    board.out(0x70, 0x0c)
    #expect(board.input(0x71) == 0xd0)
    #expect(board.devices.nextDeadline == 2_000_000)
  }

  @Test func `CMOS keeps bytes and notes the size of memory`() {
    var clock = RTC(memoryBytes: 128 << 20)
    #expect([0x15, 0x16, 0x17, 0x18, 0x34, 0x35].map { read(&clock, $0) } == [0x80, 0x02, 0xff, 0xff, 0x00, 0x07])
    write(&clock, 0x0f, 0x0a)
    #expect(read(&clock, 0x0f) == 0x0a)
    #expect(read(&clock, 0x0d) == 0x80)
  }
}

@Suite struct CalendarDateTests {
  @Test func `days are counted across leap years and centuries`() {
    for (first, second) in [
      ((2023, 2, 28), (2023, 3, 1)), ((2024, 2, 28), (2024, 2, 29)), ((2000, 2, 29), (2000, 3, 1)),
      ((2100, 2, 28), (2100, 3, 1)), ((1999, 12, 31), (2000, 1, 1)),
    ] {
      let date = CalendarDate(year: first.0, month: first.1, day: first.2).adding(seconds: 86400)
      #expect(date == CalendarDate(year: second.0, month: second.1, day: second.2))
    }
    #expect(
      CalendarDate(year: 1970, month: 1, day: 1).adding(seconds: 1_700_000_000)
        == CalendarDate(year: 2023, month: 11, day: 14, hour: 22, minute: 13, second: 20))
  }

  @Test func `weekdays count from Sunday`() {
    #expect(CalendarDate(year: 2024, month: 1, day: 1).weekday == 2)
    #expect(CalendarDate(year: 1969, month: 12, day: 28).weekday == 1)
    #expect(CalendarDate(year: 2000, month: 1, day: 1).weekday == 7)
  }

  @Test func `every day of four centuries follows the one before`() {
    var date = CalendarDate(year: 1900, month: 1, day: 1)
    for _ in 0..<146_097 {
      let next = date.adding(seconds: 86400)
      let follows = next.day == date.day + 1 && next.month == date.month
      let begins = next.day == 1 && next.month == date.month % 12 + 1 && date.day >= 28
      guard follows || begins else {
        Issue.record("\(next) after \(date)")
        return
      }
      date = next
    }
    #expect(date == CalendarDate(year: 2300, month: 1, day: 1))
  }
}
