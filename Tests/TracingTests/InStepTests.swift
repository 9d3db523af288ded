import Devices
import Emulator
import Testing

@testable import Tracing

/// The built-in guests, as the golden records have them, under all kinds of paging in step: no difference, as they are and
/// while the host disturbs their frames, and then no broken invariant after any exit.
@Suite struct InStepTests {
  @Test(arguments: GoldenRecord.all, [false, true])
  func `a built-in guest cannot tell`(record: GoldenRecord, isDisturbed: Bool) throws {
    var configuration = try Configuration(pagings: PagingKind.all)
    (configuration.clock, configuration.tlb) = (.instructions, .coherent)
    (configuration.append, configuration.cpus) = (record.append, record.processors)
    if isDisturbed { (configuration.checksInvariants, configuration.hostChurn) = (true, 20_000) }
    let verification = try Verification(configuration, guest: GuestImage.find(record.guest), every: 10_000) {
      BufferConsole()
    }
    guard case .same(let outcome, let instructions, _) = verification.run() else {
      Issue.record("\(record.name) differs")
      return
    }
    // Each guest tells by itself whether it has found what it should; `bug-missed-invlpg` has no bug that coherent TLBs show.
    let expected = record.guest == "bug-missed-invlpg" ? 0 : UInt32(record.status >> 1)
    #expect(outcome == .shutdown(.debugExit(expected)))
    #expect(instructions > 5000)
    for (statistics, kind) in zip(verification.statistics, PagingKind.all) where isDisturbed && kind != .native {
      #expect(!statistics.exits.isEmpty)
    }
  }
}
