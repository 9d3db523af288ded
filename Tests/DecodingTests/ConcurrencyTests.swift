import Decoding
import Foundation
import Machine
import Synchronization
import Testing

/// Decoders of different threads share nothing that we see. Capstone 4 though sorts a table at the first instruction of
/// a process, without a lock (its issue 1358): two threads at once can leave it in disorder for good. So every attempt
/// has a process of its own.
@Suite("Decoding on several threads", .serialized)
struct ConcurrencyTests {
  @Test(arguments: 1...8)
  func `the first instructions of a process are decoded on four threads at once`(attempt: Int) async {
    await #expect(processExitsWith: .success) {
      let threads = 4
      let ready = Atomic(0)
      let done = DispatchSemaphore(value: 0)
      for _ in 0..<threads {
        Thread.detachNewThread {
          let decoder = CapstoneDecoder()
          ready.add(1, ordering: .sequentiallyConsistent)
          while ready.load(ordering: .sequentiallyConsistent) < threads {}
          // The short forms of ADD to CMP have EAX, which no byte of theirs names, from that table.
          for verb in [UInt8](repeating: 0, count: 8) + Array(0..<8) {
            let short = Decoded([verb * 8 + 0x05, 1, 0, 1, 0x80], .bits32, rip: 0, by: decoder)
            precondition(short.last.dst == Slot.rax)
          }
          done.signal()
        }
      }
      for _ in 0..<threads { precondition(done.wait(timeout: .now() + 60) == .success) }
    }
  }
}
