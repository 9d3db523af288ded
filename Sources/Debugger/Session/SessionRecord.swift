import Emulator

/// Where a session stands and what led there, as a file: which guest, how the machine is made, the moment, and what was typed
/// when. The same machine that gets the same input is at that moment in the same state, so nothing else has to be kept.
struct SessionRecord: Equatable {
  /// A stretch of input, and the moment from which the guest could see it.
  struct Input: Equatable {
    var moment: Moment
    var bytes: [UInt8]
  }

  /// What has to be the same: a key, and what it must be.
  var conditions: [String]
  var moment: Moment
  var inputs: [Input]

  private static let title = "penumbra session 1"

  var text: String {
    var lines = [Self.title] + conditions + ["at \(Self.text(moment))"]
    for input in inputs {
      let digits = input.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      lines.append("input \(Self.text(input.moment)) \(digits)")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func text(_ moment: Moment) -> String {
    "\(moment.instructions) \(moment.deliveries) \(moment.cycles)"
  }

  init(conditions: [String], moment: Moment, inputs: [Input]) {
    self.conditions = conditions
    self.moment = moment
    self.inputs = inputs
  }

  /// - Throws: what is wrong with a file.
  init(_ text: String) throws(PromptError) {
    var lines = text.split(separator: "\n")[...]
    guard lines.popFirst() == Self.title[...] else { throw PromptError("no file of save") }
    var (conditions, moment, inputs): ([String], Moment?, [Input]) = ([], nil, [])
    for line in lines {
      let words = line.split(separator: " ")
      switch words.first {
      case "at": moment = Self.moment(words.dropFirst())
      case "input":
        guard let from = Self.moment(words[1...].prefix(3)), words.count == 5, let bytes = Self.bytes(words[4]) else {
          throw PromptError("\"\(line.prefix(40))\" is no input")
        }
        inputs.append(Input(moment: from, bytes: bytes))
      default: conditions.append(String(line))
      }
    }
    guard let moment else { throw PromptError("the file names no moment") }
    self.init(conditions: conditions, moment: moment, inputs: inputs)
  }

  private static func moment(_ words: ArraySlice<Substring>) -> Moment? {
    let numbers = words.compactMap { UInt64($0) }
    guard words.count == 3, numbers.count == 3 else { return nil }
    return Moment(instructions: numbers[0], deliveries: numbers[1], cycles: numbers[2])
  }

  private static func bytes(_ digits: Substring) -> [UInt8]? {
    let characters = Array(digits)
    guard characters.count % 2 == 0 else { return nil }
    let bytes = stride(from: 0, to: characters.count, by: 2).map { UInt8(String(characters[$0...$0 + 1]), radix: 16) }
    return bytes.contains(nil) ? nil : bytes.compactMap { $0 }
  }
}

extension Session {
  /// What has to be the same for a record to hold.
  private var conditions: [String] {
    let statistics = machine.statistics
    return ["guest \(statistics.guest.sha256)"]
      + statistics.config.sorted { $0.key < $1.key }.map { "set \($0.key) \($0.value)" }
  }

  /// - Throws: why there is none.
  func record() throws(PromptError) -> SessionRecord {
    guard !isEdited else { throw PromptError("the machine was changed by hand: running again would not lead here") }
    return SessionRecord(conditions: conditions, moment: moment, inputs: console.recorded)
  }

  /// Goes to where another session stood.
  func restore(_ record: SessionRecord) throws(PromptError) -> Stop {
    for (wanted, found) in zip(record.conditions, conditions) where wanted != found {
      throw PromptError("it is of another machine: \(wanted), here \(found)")
    }
    guard record.conditions.count == conditions.count else { throw PromptError("it is of another machine") }
    begin()
    if !record.inputs.isEmpty { console.replay(record.inputs) }
    return go(to: record.moment)
  }

  /// Goes back to the beginning, and forgets all that came after it.
  private func begin() {
    timeline.begin()
    outcome = nil
    isEdited = false
    machine.processor.stopRequest.clear()
  }
}
