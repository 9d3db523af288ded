import Emulator
import Foundation

/// Every figure of the statistics by its path in the document, for example `causes.walk.guest`.
struct CounterList {
  let values: [String: String]

  init(_ statistics: Statistics) throws(SetupError) {
    let text = try statistics.json()
    do {
      var values: [String: String] = [:]
      try JSONDecoder().decode(Node.self, from: Data(text.utf8)).collect(into: &values, at: "")
      self.values = values
    } catch {
      throw SetupError(.defect, "cannot read the statistics back: \(error)")
    }
  }

  /// A value of JSON, whatever it is.
  private indirect enum Node: Decodable {
    case object([String: Node])
    case list([Node])
    case leaf(ConfigurationValue)

    init(from decoder: any Decoder) throws {
      if let object = try? decoder.container(keyedBy: AnyKey.self) {
        let pairs = try object.allKeys.map { ($0.stringValue, try object.decode(Node.self, forKey: $0)) }
        self = .object(Dictionary(uniqueKeysWithValues: pairs))
      } else if var list = try? decoder.unkeyedContainer() {
        var nodes: [Node] = []
        while !list.isAtEnd { nodes.append(try list.decode(Node.self)) }
        self = .list(nodes)
      } else {
        self = .leaf(try ConfigurationValue(from: decoder))
      }
    }

    func collect(into values: inout [String: String], at path: String) {
      func extended(_ name: String) -> String { path.isEmpty ? name : "\(path).\(name)" }
      switch self {
      case .object(let members): for (name, node) in members { node.collect(into: &values, at: extended(name)) }
      case .list(let nodes):
        for (index, node) in nodes.enumerated() { node.collect(into: &values, at: extended("\(index)")) }
      case .leaf(let value): values[path] = value.description
      }
    }
  }

  private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
  }
}
