import Machine
import Support
import Testing

/// The rate of the instruction clock: ticks of the guest's time that an instruction takes.
struct ClockTests {
  private static let rates: [UInt64] = [1, 3, 64, 1000]

  private static func machine(_ code: [UInt8], _ ticks: UInt64, blockLength: Int) -> TinyMachine {
    EventTests.machine(code, blockLength: blockLength, clock: .instructions, ticks: ticks)
  }

  @Test(arguments: rates, [1, 64])
  func `RDTSC counts an instruction's ticks`(ticks: UInt64, blockLength: Int) {
    // nop; rdtsc; mov ebx, eax; nop; nop; rdtsc; mov ecx, eax; rdtsc; jmp here
    let code: [UInt8] = [
      0x90, 0x0f, 0x31, 0x89, 0xc3, 0x90, 0x90, 0x0f, 0x31, 0x89, 0xc1, 0x0f, 0x31, 0xeb, 0xfe,
    ]
    let machine = Self.machine(code, ticks, blockLength: blockLength)
    machine.run(9)
    // Its own are over when it reads.
    #expect(machine[Slot.rbx] == 2 * ticks)
    #expect(machine[Slot.rcx] == 6 * ticks)
    #expect(machine[Slot.rax] == 8 * ticks)
    #expect(machine.processor.guestTime == 9 * ticks)
  }

  @Test(arguments: rates, [1, 2, 3, 64])
  func `a device register tells the time of the instruction that reads it`(ticks: UInt64, blockLength: Int) {
    // nop; nop; mov eax, [0x700000]; nop; mov ecx, [0x700000]; jmp here
    let code: [UInt8] = [
      0x90, 0x90, 0x8b, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00, 0x90, 0x8b, 0x0c, 0x25, 0x00, 0x00, 0x70, 0x00, 0xeb, 0xfe,
    ]
    let machine = Self.machine(code, ticks, blockLength: blockLength)
    machine.run(8)
    #expect(machine[Slot.rax] == 2 * ticks)
    #expect(machine[Slot.rcx] == 4 * ticks)
  }

  @Test(arguments: rates, [1, 7, 64])
  func `a timer interrupts at the first instruction boundary at or after its deadline`(ticks: UInt64, blockLength: Int)
  {
    let code = Array(repeating: 0x90 as UInt8, count: 80)
    for boundary in [1, 2, 13, 64, 65] as [UInt64] {
      for time in Set([(boundary - 1) * ticks + 1, boundary * ticks - ticks / 2, boundary * ticks]) {
        let machine = Self.machine(code, ticks, blockLength: blockLength)
        machine.bus.timetable = [(time, 0x20)]
        machine.run()
        #expect(machine.processor.recentlyDelivered.first?.rip == 0x1000 + boundary, "deadline \(time)")
        #expect(machine.bus.acknowledged.first?.time == boundary * ticks, "deadline \(time)")
      }
    }
  }

  @Test(arguments: rates, [1, 64])
  func `a timer that is set in the middle of a block interrupts in it`(ticks: UInt64, blockLength: Int) {
    for (wait, rip) in [(1, 0x100c), (ticks, 0x100c), (ticks + 1, 0x100d), (9 * ticks, 0x1014)] as [(UInt64, UInt64)] {
      // mov eax, wait; mov [0x700000], eax; nop...
      let code = [0xb8] + (0..<4).map { UInt8(wait >> ($0 * 8) & 0xff) }
      let rest: [UInt8] = [0x89, 0x04, 0x25, 0x00, 0x00, 0x70, 0x00] + Array(repeating: 0x90, count: 30)
      let machine = Self.machine(code + rest, ticks, blockLength: blockLength)
      machine.run()
      #expect(machine.processor.recentlyDelivered.first?.rip == rip, "\(wait)")
    }
  }

  @Test(arguments: rates, [1, 64])
  func `in HLT time passes to the tick`(ticks: UInt64, blockLength: Int) {
    // hlt; mov eax, [0x700000]; jmp here
    let machine = Self.machine([0xf4, 0x8b, 0x04, 0x25, 0, 0, 0x70, 0, 0xeb, 0xfe], ticks, blockLength: blockLength)
    machine.setHandler(0x20, [0x48, 0xcf])
    machine.bus.timetable = [(12_345, 0x20)]
    machine.run(3)
    #expect(machine.bus.acknowledged.first?.time == 12_345)
    #expect(machine[Slot.rax] == 12_345 + ticks)
  }

  @Test func `time that no longer fits stops nothing`() {
    let machine = Self.machine([0x0f, 0x31, 0xeb, 0xfc], 1000, blockLength: 64)
    machine.update { $0.retired = .max / 1000 - 5 }
    machine.bus.timetable = [(.max - 1, 0x20)]
    #expect(machine.run(100) == .limit || machine.processor.recentlyDelivered.count == 1)
  }
}
