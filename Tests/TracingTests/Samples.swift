import Emulator
import Machine

@testable import Tracing

extension TracedExit {
  init(
    _ reason: String, rip: UInt64, address: UInt64 = 0, physical: UInt64? = nil, detail: UInt64 = 0, clock: UInt64,
    retired: UInt64
  ) {
    self.init(reason)
    (self.rip, self.address, self.physical, self.detail) = (rip, address, physical, detail)
    (self.clock, self.retired) = (clock, retired)
  }
}

extension ExitSequence {
  /// What a recorder would have made of these exits.
  init(_ exits: [TracedExit], keeping limit: Int = usualLimit, processors: Int = 1) {
    self.init()
    self.processors = processors
    var encoder = ExitEncoder(processors: processors)
    let hash = RunningHash()
    for exit in exits { hash.add(encoder.encode(exit)) }
    count = UInt64(exits.count)
    kept = Array(exits.prefix(limit))
    reasons = encoder.reasons
    sha256 = hash.text
  }
}

/// Exits at both ends of every field's range.
let sampleExits = [
  TracedExit("page-fault", rip: 0x1000, address: 0xffff_8000_0000_0000, detail: 2, clock: 1000, retired: 10),
  TracedExit("nested-fault", rip: .max, address: 0, physical: .max, detail: .max, clock: 2000, retired: 10),
  TracedExit("io", rip: 0, detail: 0x3f8, clock: 2001, retired: 11),
  TracedExit("nested-fault", rip: 1 << 63, address: .max, physical: 0, clock: .max, retired: .max),
  TracedExit("page-fault", rip: 0x1003, address: 1, clock: .max, retired: .max),
]

/// A small trace.
func sampleTrace(
  exits: [TracedExit] = sampleExits, keeping limit: Int = ExitSequence.usualLimit, output: String = "one\r\ntwo\n\n"
) -> Trace {
  var statistics = Statistics()
  statistics.guest = .init(name: "sample", sha256: "ab")
  statistics.config = ["paging": .text("nested"), "append": .text("a=b"), "memory": .number(4096), "max-cycles": .none]
  statistics.outcome = .init(.shutdown(.debugExit(0)))
  statistics.instructions = 20
  statistics.causes[.execute] = 12
  statistics.exits["io"] = .init(count: 1, cycles: 30, min: 30, max: 30)
  return Trace(
    name: "sample", statistics: statistics, output: Array(output.utf8), exits: ExitSequence(exits, keeping: limit))
}
