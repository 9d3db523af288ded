import Machine
import Support
import Testing

/// Which frames were written, without a price at the hit.
struct WriteLogTests {
  @Test(arguments: [1, 64]) func `a frame that is written is told once until it is asked for`(blockLength: Int) {
    let guest = GuestMemory {
      map(0x1000, to: 0x1000)
      map(0x40_0000, to: 0x4000, pages: 2, .writable)
    }
    var options = ProcessorOptions()
    options.blockLength = blockLength
    // mov [rbx], al; mov [rbx], al; mov [rbx + 4096], al; mov [rbx], al; mov al, [rbx + 4096]; jmp here
    let code: [UInt8] = [
      0x88, 0x03, 0x88, 0x03, 0x88, 0x83, 0x00, 0x10, 0x00, 0x00, 0x88, 0x03, 0x8a, 0x83, 0x00, 0x10, 0x00, 0x00, 0xeb,
      0xfe,
    ]
    let machine = TinyMachine(guest, code: code, at: 0x1000, profile: .flat(), options: options)
    machine[Slot.rbx] = 0x40_0000
    let log = WriteLog(guest.host)
    machine.run(2)
    #expect(log.collect().contains(4))
    machine.run(1)
    // Tables, where D is set, are among them.
    #expect(log.collect().filter { $0 == 4 || $0 == 5 } == [5])
    machine.run(1)
    #expect(log.collect() == [4])
    machine.run(3)
    #expect(log.collect() == [])
    guest.setWord(1, atPhysical: 0x4000)
    #expect(log.collect() == [4])
  }
}
