import Decoding
import Machine
import Support
import Testing

/// Every instruction with a memory operand of 32-bit code, hot or called out: what its segment is checked for is what it
/// then does. The page tables are the witness: how far an operand reaches, and whether it is written, shows in the page
/// faults.
@Suite(.serialized) struct MemoryAccessTests {
  private typealias Place = SegmentedCodeTests.Place
  private typealias Attributes = SegmentedCodeTests.Attributes

  /// Instructions whose operand is [EBX]: all opcodes of four maps with their prefixes and digits.
  private static let instructions: [[UInt8]] = {
    let decoder = CapstoneDecoder(vendor: .intel)
    let maps: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
    var found: [[UInt8]] = []
    withUnsafeTemporaryAllocation(of: Operation.self, capacity: 8) { output in
      guard let start = output.baseAddress else { return }
      for prefix in [[], [0x66], [0xf2], [0xf3]] as [[UInt8]] {
        for map in maps {
          for opcode in 0...0xff as ClosedRange<UInt8> {
            for digit in 0..<8 as Range<UInt8> {
              let bytes = prefix + map + [opcode, 0x03 | digit << 3] + [0, 0, 0, 0, 0]
              let result = decoder.decode(bytes, count: bytes.count, rip: 0, size: .bits32, into: start)
              guard case .decoded(let length, let count) = result, count >= 2,
                output[count - 2].handler == .address, output[count - 2].base == Slot.rbx,
                // Prefixes alone, and moves of the stack segment, behind which nothing is looked at.
                length > prefix.count + map.count + 1
              else { continue }
              found.append(bytes)
            }
          }
        }
      }
    }
    return found
  }()

  /// What an instruction raises with its operand at an offset in DS.
  private static func fault(
    _ machine: TinyMachine, _ state: ProcessorState, at offset: UInt64, limit: UInt32 = .max,
    attributes: UInt16 = 0xc093
  ) -> GuestException? {
    for page in [0, 0xf80, 0x1000] as [UInt64] {
      machine.guest.write(Array(repeating: 0, count: 128), atPhysical: Place.dataFrame + page)
    }
    let before = machine.processor.counters.exceptions
    machine.processor.state = state
    machine.update { state in
      state[.ds] = Segment(selector: 0x10, base: Place.data, limit: limit, attributes: attributes)
      state.slots[Int(Slot.rbx)] = offset
    }
    machine.run(1)
    return machine.processor.counters.exceptions == before ? nil : machine.lastException
  }

  @Test func `a segment is checked for what the instruction does there`() throws {
    #expect(Self.instructions.count > 3000)
    var wrong: [String: [UInt8]] = [:]
    let machine = SegmentedCodeTests.machine(Array(repeating: 0x90, count: 16), vendor: .intel, cpl: 0)
    machine.update {
      $0.cr4 |= CR4.osFXSR | CR4.osXMMExceptions | CR4.osXSAVE
      $0.xcr0 = 7
      $0.slots[Int(Slot.rax)] = 1
      $0.slots[Int(Slot.rdx)] = 0
      $0.slots[Int(Slot.rcx)] = 1
      $0.slots[Int(Slot.rdi)] = 0x100
    }
    let state = machine.processor.state
    let rooms = [0, 1, 2, 4, 6, 8, 10, 16, 28, 32] as [UInt64]
    var reaching = 0
    var writing = 0
    for bytes in Self.instructions {
      machine.guest.write(bytes, atPhysical: 0x1100)
      machine.processor.hostMemoryChanged(at: HostPhysical(0x1100), count: bytes.count)

      // The operand ends before the end of the second page, behind which there is none, or goes on.
      for room in rooms {
        let offset = 0x2000 - room
        let usual = Self.fault(machine, state, at: 0x1000 - room)
        if usual == .generalProtection(0) { continue }
        let page = Self.fault(machine, state, at: offset)
        let isBeyond = page?.vector == 14 && page?.address ?? 0 >= Place.data + 0x2000
        let limit = Self.fault(machine, state, at: 0x1000 - room, limit: 0xfff)
        reaching += isBeyond ? 1 : 0
        if isBeyond != (limit == .generalProtection(0)) {
          let what = "\(isBeyond ? "is" : "is not") accessed beyond \(room) bytes"
          wrong[what] = wrong[what] ?? bytes
        }
      }
      // A page that may not be written, and a segment that may not.
      machine.guest.map(map(Place.data, to: Place.dataFrame, .user))
      machine.processor.refresh()
      let page = Self.fault(machine, state, at: 0x100)
      machine.guest.map(map(Place.data, to: Place.dataFrame, .user, .writable))
      let usual = Self.fault(machine, state, at: 0x100)
      if usual == .generalProtection(0) { continue }
      let segment = Self.fault(machine, state, at: 0x100, attributes: 0xc091)
      let isWritten = page?.vector == 14 && page?.errorCode ?? 0 & 2 != 0
      writing += isWritten ? 1 : 0
      if isWritten != (segment == .generalProtection(0)) {
        wrong[isWritten ? "is written" : "is not written"] = wrong[isWritten ? "is written" : "is not written"] ?? bytes
      }
    }
    #expect(reaching > 5000 && writing > 500)
    for (what, bytes) in wrong.sorted(by: { $0.key < $1.key }) {
      Issue.record("\(what): \(bytes.map { String($0, radix: 16) }.joined(separator: " "))")
    }
  }
}
