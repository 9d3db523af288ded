import Hypervisor
import Machine

extension CommandTable {
  static let model: [Command] = [
    Command(
      "walk", ["page", "gva2gpa"], "[ADDRESS]", .model,
      "the walk of a linear address in both dimensions, with every entry, cache and price, and what each access comes to",
      detail:
        "Without an address, that of the last page fault (CR2). Nothing is charged and no A or D bit is set: what is shown is what the hardware would do from the root; above it stands what its caches would spare it.",
      completion: .expression
    ) { prompt, rest throws(PromptError) in
      prompt.showWalk(rest.isEmpty ? prompt.session.processor.state.cr2 : try prompt.value(rest))
    },
    Command("info mem", ["info tab"], .model, "what the guest's tables map") { prompt, _ throws(PromptError) in
      prompt.showMappings()
    },
    Command(
      "info tlb", [], "[ADDRESS|stale]", .model,
      "every TLB and paging-structure cache: address, page, permissions, tags, age; STALE where the tables say otherwise",
      detail:
        "With an address only what translates it, with `stale` only what is stale. The age is the rank of use in the array, 0 the last one used. Entries of other contexts cannot be compared: their tables are not known."
    ) { prompt, rest throws(PromptError) in
      try prompt.showTranslations(rest)
    },
    Command("info shadow", [], .model, "the shadow pages, the one used last first") { prompt, _ throws(PromptError) in
      prompt.showShadow()
    },
    Command("info nested", ["info ept", "info npt"], .model, "what the nested tables map") {
      prompt, _ throws(PromptError) in prompt.showNested()
    },
    Command("info exits", ["info kvm"], .model, "exits by reason: how many, and what they cost") {
      prompt, _ throws(PromptError) in prompt.showExits()
    },
    Command("info cost", ["info causes", "info cycles"], .model, "cycles by cause, since the last stop and in all") {
      prompt, _ throws(PromptError) in prompt.showCosts()
    },
  ]
}

extension Prompt {
  // MARK: Walks

  func showWalk(_ address: UInt64) {
    say("Walk of \(place(address))")
    guard session.isCanonical(address) else {
      return say("The address is not canonical: any access raises #GP or #SS.")
    }
    let cached = session.cached(address)
    for view in cached { say("cached: \(describe(view))") }
    let guest = session.guestWalkView(address)
    if guest.levels == 0 {
      say("Paging is off: linear addresses are physical.")
    } else {
      list(guest.steps.filter { $0.reference.dimension == .first }, title: "The guest's tables")
    }
    let isShadowed = session.machine.hypervisor.map { $0.nestedPlan == nil } ?? false
    if isShadowed {
      list(session.hardwareWalk(address).steps, title: "The shadow tables, which the hardware walks")
    } else if session.machine.hypervisor != nil {
      grid(session.hardwareWalk(address))
    }
    conclude(address, guest)
    for line in columns(session.verdicts(address).map(row)) { say("  " + line) }
  }

  private func list(_ steps: [WalkView.Step], title: String) {
    say("\(title):")
    var rows: [[String]] = []
    for step in steps {
      let reference = step.reference
      var places = reference.address.description
      if let physical = step.physical, physical.rawValue != reference.address.rawValue {
        places = "\(physical) in the guest, \(reference.address) in the host"
      }
      rows.append([
        "  " + reference.entryName, "at \(places):", hex(reference.entry, digits: 16),
        "[\(EntryText.ordinary(reference.entry, level: reference.level))]", step.cache, "\(step.cycles)",
      ])
    }
    for line in columns(rows, right: [5]) { say(line) }
  }

  /// The two dimensions as a grid: a row for each of the guest's entries and one for the page, a column for each level of
  /// the nested tables, in each place the cache that would serve the reference and its price.
  private func grid(_ walk: WalkView) {
    let isExtended = session.machine.hypervisor?.nestedPlan?.format == .extended
    let levels = session.machine.hypervisor?.nestedPlan?.levels ?? 4
    var rows = [[""] + (1...levels).reversed().map { "n\($0)" } + ["entry"]]
    var cells: [Int: String] = [:]
    func finish(_ name: String, _ last: String) {
      rows.append([name] + (1...levels).reversed().map { cells[$0] ?? "" } + [last])
      cells = [:]
    }
    for step in walk.steps {
      let text = "\(step.cache) \(step.cycles)"
      if step.reference.dimension == .second {
        cells[step.reference.level] = text
      } else {
        finish(step.reference.entryName, text)
      }
    }
    if !cells.isEmpty { finish("page", "") }
    say("Both dimensions, \(walk.steps.count) references, \(walk.cycles) cycles:")
    for line in columns(rows) { say("  " + line) }
    // The last page's own nested path in full.
    guard let last = walk.steps.lastIndex(where: { $0.reference.dimension == .first }) else { return }
    var lines: [[String]] = []
    for step in walk.steps[(last + 1)...] {
      let reference = step.reference
      let bits =
        isExtended
        ? EntryText.extended(reference.entry, level: reference.level)
        : EntryText.ordinary(reference.entry, level: reference.level)
      lines.append(["  n\(reference.level)", "at \(reference.address):", hex(reference.entry, digits: 16), "[\(bits)]"])
    }
    if !lines.isEmpty { say("The page's nested entries:") }
    for line in columns(lines) { say(line) }
  }

  private func conclude(_ address: UInt64, _ guest: WalkView) {
    switch guest.result {
    case .mapped(let mapping):
      let host = session.hostAddress(of: mapping.physical).map(\.description) ?? "not populated"
      let sizes = ["4K", "2M", "1G"]
      let size = mapping.isHalf ? "4M" : guest.levels == 0 ? "no" : sizes[Int(mapping.pageSize.rawValue)]
      say("=> guest-physical \(mapping.physical), host \(host), \(size) page")
    case .fault(let fault):
      let reserved = fault.errorCode & PageFault.Code.reserved != 0
      say("=> the level-\(fault.level) entry \(reserved ? "has reserved bits set" : "is not present")")
    case .nestedFault(let fault):
      say(
        "=> guest-physical \(fault.address), \(fault.duringWalk ? "a table outside memory" : "which the host has not populated, or which is a device's")"
      )
    }
  }

  private func row(_ verdict: Verdict) -> [String] {
    let who = verdict.access.isUser ? "user" : "supervisor"
    var text = verdict.errorCode.map { "#PF, error code \(hex(UInt64($0))) [\(Self.errorText($0))]" } ?? "allowed"
    if verdict.exits { text += verdict.errorCode == nil ? ", after an exit" : ", by way of an exit" }
    return [who, "\(verdict.access.kind)", text]
  }

  static func errorText(_ code: UInt32) -> String {
    var words = [code & PageFault.Code.present != 0 ? "P" : "not present"]
    for (bit, name) in [
      (PageFault.Code.write, "W"), (PageFault.Code.user, "U"), (PageFault.Code.reserved, "RSVD"),
      (PageFault.Code.fetch, "I"), (PageFault.Code.protectionKey, "PK"),
    ] where code & bit != 0 {
      words.append(name)
    }
    return words.joined(separator: " ")
  }

  // MARK: Mappings

  func showMappings() {
    let ranges = session.mappings()
    guard !ranges.isEmpty else {
      return say(session.processor.guestWalkPlan.levels == 0 ? "Paging is off." : "Nothing is mapped.")
    }
    let rows = ranges.map { range in
      let permissions =
        (range.permissions.user ? "u" : "s") + "r" + (range.permissions.writable ? "w" : "-")
        + (range.permissions.executable ? "x" : "-") + (range.isGlobal ? "g" : "-")
      return [
        hex(range.start, digits: 16), hex(range.end &- 1, digits: 16), "-> " + hex(range.physical), permissions,
        Self.size(range.shift),
      ]
    }
    for line in columns(rows) { say(line) }
  }

  static func size(_ shift: UInt64) -> String {
    switch shift {
    case 12: "4K"
    case 21: "2M"
    case 22: "4M"
    case 30: "1G"
    default: "512G"
    }
  }

  // MARK: Translations

  func describe(_ view: CachedView) -> String {
    let entry = view.entry
    let permissions =
      (entry.permissions.user ? "u" : "s") + "r" + (entry.permissions.writable ? "w" : "-")
      + (entry.permissions.executable ? "x" : "-") + (entry.isDirty ? "d" : "-") + (entry.isGlobal ? "g" : "-")
    let state: String
    switch view.isCurrent {
    case false: state = ", STALE"
    case nil: state = ", another context"
    default: state = ""
    }
    let target = entry.holder.holdsPages ? "" : "table "
    return
      "\(entry.holder.rawValue) \(hex(entry.address)) \(Self.size(entry.shift)) -> \(target)\(entry.host) \(permissions)"
      + ", PCID \(entry.pcid)\(state)"
  }

  func showTranslations(_ text: String) throws(PromptError) {
    var views = session.cached()
    // The rank of use within each holder.
    var ages: [Int: Int] = [:]
    for holder in CachedTranslation.Holder.allCases {
      let members = views.indices.filter { views[$0].entry.holder == holder }
      for (age, index) in members.sorted(by: { views[$0].entry.stamp > views[$1].entry.stamp }).enumerated() {
        ages[index] = age
      }
    }
    var numbered = views.indices.map { (views[$0], ages[$0] ?? 0) }
    if text == "stale" {
      numbered = numbered.filter { $0.0.isCurrent == false }
    } else if !text.isEmpty {
      let address = try value(text)
      numbered = numbered.filter {
        !$0.0.entry.holder.isNested && $0.0.entry.address >> $0.0.entry.shift == address >> $0.0.entry.shift
      }
    }
    views = []
    guard !numbered.isEmpty else { return say(text == "stale" ? "Nothing is stale." : "Nothing.") }
    var rows = [["Cache", "Address", "Page", "Host", "Bits", "VPID", "PCID", "Age", ""]]
    for (view, age) in numbered {
      let entry = view.entry
      let bits =
        (entry.permissions.user ? "u" : "s") + (entry.permissions.writable ? "w" : "-")
        + (entry.permissions.executable ? "x" : "-") + (entry.isDirty ? "d" : "-") + (entry.isGlobal ? "g" : "-")
      let state = view.isCurrent == false ? "STALE" : view.isCurrent == nil ? "other" : ""
      rows.append([
        entry.holder.rawValue, hex(entry.address), Self.size(entry.shift), entry.host.description, bits,
        "\(entry.vpid)", entry.isGlobal ? "all" : "\(entry.pcid)", "\(age)", state,
      ])
    }
    for line in columns(rows, right: [5, 6, 7]) { say(line) }
  }

  // MARK: The hypervisor

  func showShadow() {
    guard let pages = session.machine.hypervisor?.shadowPages else { return say("There are no shadow tables.") }
    say("\(pages.count) shadow pages of at most \(session.machine.hypervisor?.shadowPageLimit ?? 0)")
    var rows = [["Guest frame", "Level", "Table", "Present", "Access", ""]]
    for page in pages.prefix(200) {
      let access =
        (page.access.user ? "u" : "s") + (page.access.writable ? "w" : "-") + (page.access.executable ? "x" : "-")
      let kind = [page.isDirect ? "direct" : "", page.isRoot ? "root in use" : ""].filter { $0 != "" }
      rows.append([
        hex(page.gfn << 12), "\(page.level)", page.table.description, "\(page.present)", access,
        kind.joined(separator: ", "),
      ])
    }
    for line in columns(rows, right: [1, 3]) { say(line) }
    if pages.count > 200 { say("... and \(pages.count - 200) more") }
  }

  func showNested() {
    guard let hypervisor = session.machine.hypervisor, let plan = hypervisor.nestedPlan else {
      return say("There are no nested tables.")
    }
    say(
      "\(plan.format == .extended ? "Extended page tables" : "Nested page tables"), \(plan.levels) levels, root \(plan.root)"
    )
    say("\(hypervisor.guestFrames) guest frames populated, \(hypervisor.tableFrames) frames hold tables")
    let rows = session.nestedMappings(plan).map { range in
      [
        hex(range.start, digits: 12), hex(range.end &- 1, digits: 12), "-> " + hex(range.host),
        "r" + (range.permissions.writable ? "w" : "-") + (range.permissions.executable ? "x" : "-"),
        Self.size(range.shift),
      ]
    }
    for line in columns(rows) { say(line) }
  }

  func showExits() {
    let exits = session.machine.statistics.exits
    guard !exits.isEmpty else { return say("No exits.") }
    var rows = [["Reason", "Count", "Cycles", "Mean", "Least", "Most"]]
    for (name, exit) in exits.sorted(by: { ($1.value.cycles, $0.key) < ($0.value.cycles, $1.key) }) {
      rows.append([
        name, "\(exit.count)", "\(exit.cycles)", "\(exit.cycles / max(exit.count, 1))", "\(exit.min)", "\(exit.max)",
      ])
    }
    for line in columns(rows, right: [1, 2, 3, 4, 5]) { say(line) }
  }

  func showCosts() {
    let now = session.machine.statistics.causes.ledger
    let before = ledgerBefore
    var rows = [["Cause", "Since last stop", "In all"]]
    // Time travel may have gone behind the last stop.
    let isForward = now.total >= before.total
    let since = isForward ? now.since(before) : CycleLedger()
    for (cause, cycles) in now.nonzero { rows.append([cause.name, isForward ? "\(since[cause])" : "-", "\(cycles)"]) }
    rows.append(["all", isForward ? "\(since.total)" : "-", "\(now.total)"])
    for line in columns(rows, right: [1, 2]) { say(line) }
  }
}
