import Boot
import Machine

/// A guest's symbols by name and by address.
public struct Symbols: Sendable {
  /// Sorted by address and name.
  public private(set) var all: [Symbol]
  private var byName: [String: Symbol]

  public init(_ symbols: [Symbol] = []) {
    all = symbols
    byName = [:]
    for symbol in symbols where byName[symbol.name] == nil { byName[symbol.name] = symbol }
  }

  /// Those of an ELF file; nil if it is none, or has none.
  public init?(elf bytes: [UInt8]) {
    guard let symbols = SymbolTable.symbols(ofFile: bytes) else { return nil }
    self.init(symbols)
  }

  public var isEmpty: Bool { all.isEmpty }

  public subscript(name: String) -> Symbol? { byName[name] }

  /// The symbol that an address belongs to, and how far behind its start it is. One whose size is known ends there; one
  /// without a size reaches to the next, but no further than a page.
  public func symbol(at address: UInt64) -> (symbol: Symbol, offset: UInt64)? {
    var low = 0
    var high = all.count
    while low < high {
      let middle = (low + high) / 2
      if all[middle].address.rawValue <= address { low = middle + 1 } else { high = middle }
    }
    var index = low - 1
    var best: Symbol?
    while index >= 0, low - index <= 8 {
      let candidate = all[index]
      let offset = address &- candidate.address.rawValue
      if candidate.size == 0 ? offset < 4096 : offset < candidate.size {
        // Functions and objects before bare labels; of equals the first by name.
        if let known = best {
          if candidate.address == known.address && rank(candidate) <= rank(known) { best = candidate }
          if candidate.address != known.address { break }
        } else {
          best = candidate
        }
      }
      index -= 1
    }
    return best.map { ($0, address &- $0.address.rawValue) }
  }

  private func rank(_ symbol: Symbol) -> Int { symbol.kind == .label ? 1 : 0 }

  /// The same of where a call returns to, which may lie behind the end of the function that has called.
  public func name(ofReturn address: UInt64) -> String? {
    guard let (symbol, offset) = symbol(at: address &- 1) else { return nil }
    return "\(symbol.name)+0x\(String(offset + 1, radix: 16))"
  }

  /// `name`, `name+0x10`, or nothing.
  public func name(of address: UInt64) -> String? {
    symbol(at: address).map { $0.offset == 0 ? $0.symbol.name : "\($0.symbol.name)+0x\(String($0.offset, radix: 16))" }
  }
}
