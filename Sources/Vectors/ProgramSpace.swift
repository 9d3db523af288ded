import Glibc
import Machine

/// The linear addresses of a vector's program: page tables in the machine's memory, and two frames behind each page,
/// one that the program uses and one for what it should hold in the end.
///
/// Pages stay mapped from one vector to the next only if every vector has them; the others keep their frames and
/// tables, and lose no more than the present bit. Between two vectors all frames are zero.
final class ProgramSpace {
  /// Where the processor's own tables are, for the supervisor only: no program has these addresses.
  static let system: UInt64 = 0xffff_ff00_0000_0000
  static let systemPages: UInt64 = 8
  /// What every program has.
  static let always: [ClosedRange<UInt64>] = [
    0x1000_0000...0x1000_ffff, 0x2000_0000...0x2000_3fff, 0x3000_0000...0x3000_1fff,
  ]

  /// Whether a program may have memory at an address: it is canonical and not the processor's own.
  static func canHold(_ address: UInt64) -> Bool {
    UInt64(bitPattern: Int64(bitPattern: address &<< 16) &>> 16) == address
      && !(system..<system + systemPages << 12).contains(address)
  }

  struct Page {
    /// The linear address.
    var address: UInt64
    /// Of its page-table entry.
    var entry: HostPhysical
    /// The entry while it is mapped.
    var mapping: UInt64
    /// The frame that the program uses.
    var found: HostPhysical
    /// The frame of what it should hold.
    var expected: HostPhysical
    /// Whether every vector has it.
    var isPermanent: Bool
    /// Whether the running vector lists some of its bytes.
    var isListed = false
  }

  let memory: HostMemory
  let root: UInt64
  private(set) var pages: [Page] = []
  private var indices: [UInt64: Int] = [:]
  /// Pages that the running vector lists or that are mapped for it alone.
  private(set) var used: [Int] = []
  private var last = 0

  private static let tables: UInt64 = 0x100_0000
  private static let frames: UInt64 = 0x1000_0000
  static let memorySize: UInt64 = 0x4000_0000
  private var nextTable = ProgramSpace.tables
  private var nextFrame = ProgramSpace.frames
  private var permanent = 0

  init(_ memory: HostMemory) {
    self.memory = memory
    root = nextTable
    nextTable += 4096
    for range in ProgramSpace.always {
      for address in stride(from: range.lowerBound, through: range.upperBound, by: 4096) {
        _ = makePage(address, isPermanent: true)
      }
    }
    permanent = pages.count
    for page in 0..<ProgramSpace.systemPages {
      let address = ProgramSpace.system + page << 12
      memory.setWord(ProgramSpace.physical(address) | 0x63, at: entry(for: address))
    }
  }

  /// Where in memory the processor's own pages are.
  static func physical(_ systemAddress: UInt64) -> UInt64 { systemAddress - system + 0x10_0000 }

  // MARK: Tables

  /// The page-table entry for an address, tables being made as needed.
  private func entry(for address: UInt64) -> HostPhysical {
    var table = root
    for level in stride(from: UInt64(3), to: 0, by: -1) {
      let at = HostPhysical(table + (address >> (12 + 9 * level) & 0x1ff) * 8)
      if memory.word(at: at) == 0 {
        memory.setWord(nextTable | 0x27, at: at)
        nextTable += 4096
      }
      table = memory.word(at: at) & ~0xfff
    }
    return HostPhysical(table + (address >> 12 & 0x1ff) * 8)
  }

  private func makePage(_ address: UInt64, isPermanent: Bool) -> Int {
    let at = entry(for: address)
    // Present, writable, user, accessed.
    let mapping = nextFrame | 0x27
    memory.setWord(mapping, at: at)
    pages.append(
      Page(
        address: address, entry: at, mapping: mapping, found: HostPhysical(nextFrame),
        expected: HostPhysical(nextFrame + 4096), isPermanent: isPermanent))
    nextFrame += 8192
    indices[address >> 12] = pages.count - 1
    return pages.count - 1
  }

  /// Whether there may be too little room for the pages of another vector.
  var isFull: Bool {
    nextTable > ProgramSpace.frames - 0x100_0000 || nextFrame > ProgramSpace.memorySize - 0x800_0000
  }

  /// Forgets every page that not all vectors have.
  func empty() {
    for page in pages[permanent...] {
      memory.setWord(0, at: page.entry)
      indices[page.address >> 12] = nil
    }
    pages.removeSubrange(permanent...)
    nextFrame = ProgramSpace.frames + UInt64(permanent) * 8192
    last = 0
    // Tables of such pages stay where they are unless they have become many.
    guard nextTable > ProgramSpace.frames - 0x100_0000 else { return }
    let words = (nextTable - root) / 8
    for word in 0..<words { memory.setWord(0, at: HostPhysical(root + word * 8)) }
    nextTable = root + 4096
    for index in pages.indices {
      pages[index].entry = entry(for: pages[index].address)
      memory.setWord(pages[index].mapping, at: pages[index].entry)
    }
    for page in 0..<ProgramSpace.systemPages {
      let address = ProgramSpace.system + page << 12
      memory.setWord(ProgramSpace.physical(address) | 0x63, at: entry(for: address))
    }
  }

  // MARK: A vector's memory

  /// The page of an address, mapped for the running vector if it was not.
  @inline(__always) private func page(of address: UInt64) -> Int {
    if pages[last].address == address & ~0xfff && pages[last].isListed { return last }
    return find(address)
  }

  @inline(never) private func find(_ address: UInt64) -> Int {
    let index = indices[address >> 12] ?? makePage(address & ~0xfff, isPermanent: false)
    last = index
    if !pages[index].isListed {
      pages[index].isListed = true
      used.append(index)
      if !pages[index].isPermanent { memory.setWord(pages[index].mapping, at: pages[index].entry) }
    }
    return index
  }

  /// Makes a byte what the program finds there.
  func setInitial(_ address: UInt64, _ value: UInt8) {
    let index = page(of: address)
    store(value, at: pages[index].found, address)
    store(value, at: pages[index].expected, address)
  }

  /// Makes a byte what the program should leave there.
  func setExpected(_ address: UInt64, _ value: UInt8) {
    store(value, at: pages[page(of: address)].expected, address)
  }

  @inline(__always) private func store(_ value: UInt8, at frame: HostPhysical, _ address: UInt64) {
    memory.base.storeBytes(of: value, toByteOffset: Int(frame.rawValue | address & 0xfff), as: UInt8.self)
  }

  /// Host-physical address of a byte that the vector lists.
  func place(of address: UInt64) -> HostPhysical {
    HostPhysical(pages[page(of: address)].found.rawValue | address & 0xfff)
  }

  /// A byte that is not what it should be.
  struct Difference {
    var address: UInt64
    var expected: UInt8
    var found: UInt8
  }

  /// Compares what the program has left with what it should have left, and makes everything zero again. Only pages that
  /// are listed, or whose dirty bit the program has set, can be other than zero.
  func compareAndClear(_ limit: Int) -> [Difference] {
    for index in pages[..<permanent].indices
    where !pages[index].isListed && memory.word(at: pages[index].entry) & 0x40 != 0 {
      pages[index].isListed = true
      used.append(index)
    }
    var differences: [Difference] = []
    for index in used {
      let page = pages[index]
      let found = memory.base + Int(page.found.rawValue)
      let expected = memory.base + Int(page.expected.rawValue)
      if memcmp(found, expected, 4096) != 0 {
        for offset in 0..<4096 where differences.count < limit {
          let value = found.load(fromByteOffset: offset, as: UInt8.self)
          let should = expected.load(fromByteOffset: offset, as: UInt8.self)
          guard value != should else { continue }
          differences.append(Difference(address: page.address + UInt64(offset), expected: should, found: value))
        }
      }
      memset(found, 0, 4096)
      memset(expected, 0, 4096)
      memory.setWord(page.isPermanent ? page.mapping : 0, at: page.entry)
      pages[index].isListed = false
    }
    used.removeAll(keepingCapacity: true)
    if isFull { empty() }
    return differences
  }
}
