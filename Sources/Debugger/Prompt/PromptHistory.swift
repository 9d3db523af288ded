import Emulator
import Machine

extension Prompt {
  func tellHistory(_ text: String) throws(PromptError) {
    var words = text.split(separator: " ").map(String.init)
    var limit = 4
    if words.count > 1, let last = words.last, let count = Int(last) {
      limit = max(count, 1)
      words.removeLast()
    }
    let address: GuestPhysical
    let isEntry = words.first == "entry"
    switch words.first {
    case "phys": address = GuestPhysical(try value(words.dropFirst().joined(separator: " ")))
    case "entry":
      let linear = try value(words.dropFirst().joined(separator: " "))
      guard let step = session.guestWalkView(linear).steps.last(where: { $0.reference.dimension == .first }),
        let physical = step.physical
      else { throw PromptError("no table of the guest's leads to \(hex(linear))") }
      address = physical
      say("The \(step.reference.entryName) at guest-physical \(physical), now \(hex(step.reference.entry)):")
    case nil: throw PromptError("history of which address?")
    default:
      let linear = try value(words.joined(separator: " "))
      guard let physical = session.translate(linear) else { throw PromptError("nothing mapped at \(hex(linear))") }
      address = physical
    }
    let records = session.writes(to: address, last: limit)
    guard !records.isEmpty else { return say("Nothing has changed it since the history begins.") }
    for record in records {
      say(
        "instruction \(record.moment.instructions), \(place(record.pc)): \(record.instruction)   \(record.old.map { hex($0) } ?? "?") -> \(record.new.map { hex($0) } ?? "?")"
      )
      for view in record.stale { say("    now stale: \(describe(view))") }
    }
    guard isEntry, let hypervisor = session.machine.hypervisor else { return }
    for entry in hypervisor.shadowEntries(ofGuestEntryAt: address) {
      say(
        "shadow entry at \(entry.address): \(hex(entry.rawValue, digits: 16)) [\(EntryText.ordinary(entry.rawValue, level: entry.level))]"
      )
    }
  }

  /// What is different now from a checkpoint.
  func tellDifferences(_ text: String) throws(PromptError) {
    var words = text.split(separator: " ").map(String.init)
    guard !words.isEmpty else { throw PromptError("diff CHECKPOINT") }
    let number = Int(clamping: try value(words.removeFirst()))
    guard let checkpoint = checkpoints.first(where: { $0.number == number }) else {
      throw PromptError("no checkpoint \(number); see info checkpoints")
    }
    let what = words.first ?? "all"
    guard ["all", "registers", "tables", "memory"].contains(what) else {
      throw PromptError("no \"\(what)\"; see help diff")
    }
    let now = Sight(session)
    let present = session.moment
    guard case .arrived = session.go(to: checkpoint.moment) else { throw PromptError("the checkpoint is out of reach") }
    let then = Sight(session)
    guard case .arrived = session.go(to: present) else { throw PromptError("the present is out of reach") }
    let before = now.differences(from: then, what)
    for line in before { say(line) }
    if before.isEmpty { say("No differences.") }
  }

  /// What is compared between two moments.
  private struct Sight {
    let registers: [(name: String, value: UInt64)]
    let mappings: [MappedRange]
    let memory: [UInt64: UInt64]

    init(_ session: Session) {
      let names = RegisterName.general + ["rip", "rflags", "cr0", "cr2", "cr3", "cr4", "efer", "cs", "ss"]
      registers = names.map { ($0, RegisterName.value($0, session) ?? 0) }
      mappings = session.mappings()
      memory = session.pageHashes()
    }

    func differences(from old: Sight, _ what: String) -> [String] {
      var lines: [String] = []
      if what == "all" || what == "registers" {
        for (new, old) in zip(registers, old.registers) where new.value != old.value {
          lines.append("\(new.name)  \(hex(old.value)) -> \(hex(new.value))")
        }
      }
      if what == "all" || what == "tables" {
        for range in old.mappings where !mappings.contains(range) { lines.append("- \(text(range))") }
        for range in mappings where !old.mappings.contains(range) { lines.append("+ \(text(range))") }
      }
      if what == "all" || what == "memory" {
        let pages = Set(memory.keys).union(old.memory.keys).filter { memory[$0] != old.memory[$0] }.sorted()
        for page in pages.prefix(64) { lines.append("page at guest-physical \(hex(page << 12)) is different") }
        if pages.count > 64 { lines.append("... and \(pages.count - 64) more pages") }
      }
      return lines
    }

    private func text(_ range: MappedRange) -> String {
      let permissions =
        (range.permissions.user ? "u" : "s") + "r" + (range.permissions.writable ? "w" : "-")
        + (range.permissions.executable ? "x" : "-")
      return
        "\(hex(range.start))-\(hex(range.end &- 1)) -> \(hex(range.physical)) \(permissions) \(Prompt.size(range.shift))"
    }
  }
}

extension Session {
  /// A number for the contents of each guest frame that is not all zero.
  func pageHashes() -> [UInt64: UInt64] {
    var hashes: [UInt64: UInt64] = [:]
    for range in machine.bootPlan.memoryMap.ram {
      for frame in range.base.frame..<(range.base.rawValue &+ range.size) >> 12 {
        guard let host = hostAddress(of: GuestPhysical(frame << 12)), machine.memory.isTouched(frame: host.frame) else {
          continue
        }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        var isZero = true
        for offset in stride(from: UInt64(0), to: 4096, by: 8) {
          let word = machine.memory.word(at: host.pageBase.advanced(by: offset))
          if word != 0 { isZero = false }
          hash = (hash ^ word) &* 0x0000_0100_0000_01b3
          hash ^= hash >> 29
        }
        if !isZero { hashes[frame] = hash }
      }
    }
    return hashes
  }
}
