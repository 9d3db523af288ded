import Glibc

/// The modelled host's memory: every frame that guests, hypervisor tables and caches refer to, by host-physical
/// address.
///
/// The whole range is reserved at once and committed on touch, so that a guest costs what it uses. Under native paging
/// the guest's physical addresses are host-physical, holes included; under a hypervisor frames are handed out one by
/// one.
///
/// Safety: `base` is valid for `capacity` bytes as long as the object lives; every access here is checked against
/// `contains` by its caller, and the accessors that take guest-controlled addresses check themselves.
public final class HostMemory {
  /// The first byte of host-physical address 0.
  public let base: UnsafeMutableRawPointer
  /// Bytes reserved.
  public let capacity: UInt64
  /// Below this address, and from `highBase` to `highLimit`, there is memory; everything else is device space.
  public private(set) var lowLimit: UInt64
  public let highBase: UInt64 = 1 << 32
  public private(set) var highLimit: UInt64

  /// For every frame the 64-byte lines that hold decoded code; a write to one drops what was decoded there.
  let codeLines: UnsafeMutablePointer<UInt64>
  /// For every frame whether anybody has written to it, `FrameUse`: what a snapshot has to keep.
  let touched: UnsafeMutablePointer<UInt8>
  /// The processors that execute from this memory (`CodeHolder`).
  var codeHolders: [UnownedCodeHolder] = []

  /// Why memory could not be had.
  public struct Unavailable: Error, CustomStringConvertible {
    public let bytes: UInt64
    public var description: String { "cannot reserve \(bytes >> 20) MiB of host address space" }
  }

  /// - Parameters:
  ///   - low: bytes of memory from address 0, a multiple of 4096.
  ///   - high: bytes of memory from 4 GiB, a multiple of 4096; 0 for none.
  public init(low: UInt64, high: UInt64 = 0) throws(Unavailable) {
    lowLimit = low
    highLimit = high == 0 ? 0 : highBase + high
    capacity = max(lowLimit, highLimit)
    base = try HostMemory.reserve(capacity)
    // The host's own TLB misses on guest memory would cost more than the modelled ones. Advice only: a host without
    // large pages ignores it.
    madvise(base, Int(capacity), MADV_HUGEPAGE)
    let frames = capacity >> 12
    codeLines = try HostMemory.reserve(frames * 8).bindMemory(to: UInt64.self, capacity: Int(frames))
    touched = try HostMemory.reserve(frames).bindMemory(to: UInt8.self, capacity: Int(frames))
  }

  deinit {
    let frames = Int(capacity >> 12)
    munmap(base, Int(capacity))
    munmap(codeLines, frames * 8)
    munmap(touched, frames)
  }

  private static func reserve(_ bytes: UInt64) throws(Unavailable) -> UnsafeMutableRawPointer {
    guard let length = Int(exactly: bytes), length > 0,
      let start = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      start != MAP_FAILED
    else { throw Unavailable(bytes: bytes) }
    return start
  }

  /// Whether the byte at an address is memory.
  @inline(__always) public func contains(_ address: HostPhysical) -> Bool {
    address.rawValue < lowLimit || (address.rawValue >= highBase && address.rawValue < highLimit)
  }

  /// Whether a frame has been written to since the memory was made.
  public func isTouched(frame: UInt64) -> Bool { frame < capacity >> 12 && touched[Int(frame)] != 0 }

  @inline(__always) func touch(_ address: HostPhysical) { touched[Int(address.frame)] = FrameUse.changed }

  /// Whether a write to a frame changes nothing but its bytes: it counts as changed already and holds no decoded code.
  @inline(__always) func isPlain(_ address: HostPhysical) -> Bool {
    codeLines[Int(address.frame)] == 0 && touched[Int(address.frame)] == FrameUse.changed
  }

  /// The 64-bit word at an 8-byte-aligned address; all ones where there is no memory.
  @inline(__always) public func word(at address: HostPhysical) -> UInt64 {
    guard contains(address) else { return .max }
    return (base + Int(address.rawValue & ~7)).assumingMemoryBound(to: UInt64.self).pointee
  }

  /// The first 64-bit word of a frame, from one on, that is not what a copy of the frame says.
  public func firstDifference(of frame: HostPhysical, from copy: UnsafePointer<UInt64>, at first: Int) -> Int? {
    guard contains(frame) else { return nil }
    let words = UnsafeRawPointer(base + Int(frame.rawValue & ~0xfff)).assumingMemoryBound(to: UInt64.self)
    func differs(_ start: Int, _ count: Int) -> Bool { memcmp(words + start, copy + start, count * 8) != 0 }
    var (start, count) = (first, 512 - first)
    guard count > 0, differs(start, count) else { return nil }
    // By halves: nearly always there is one change, or none.
    while count > 1 {
      let half = count / 2
      if differs(start, half) {
        count = half
      } else {
        start += half
        count -= half
      }
    }
    return start
  }

  /// Stores a 64-bit word at an 8-byte-aligned address; nothing happens where there is no memory.
  @inline(__always) public func setWord(_ value: UInt64, at address: HostPhysical) {
    guard contains(address) else { return }
    touch(address)
    noteStore(at: address)
    base.storeBytes(of: value, toByteOffset: Int(address.rawValue & ~7), as: UInt64.self)
  }

  /// A page-table entry of four or eight bytes, aligned; all ones where there is no memory.
  @inline(__always) public func entry(at address: HostPhysical, width: Int) -> UInt64 {
    if width == 8 { return word(at: address) }
    guard contains(address) else { return 0xffff_ffff }
    return UInt64(base.load(fromByteOffset: Int(address.rawValue & ~3), as: UInt32.self))
  }

  /// Stores a page-table entry; nothing happens where there is no memory.
  @inline(__always) public func setEntry(_ value: UInt64, at address: HostPhysical, width: Int) {
    if width == 8 { return setWord(value, at: address) }
    guard contains(address) else { return }
    touch(address)
    noteStore(at: address)
    base.storeBytes(
      of: UInt32(truncatingIfNeeded: value), toByteOffset: Int(address.rawValue & ~3), as: UInt32.self)
  }

  /// Whoever keeps something that follows from the bytes hears of a store that no instruction makes.
  @inline(__always) private func noteStore(at address: HostPhysical) {
    if codeLines[Int(address.frame)] >> (address.pageOffset >> 6) & 1 != 0 { dropCode(ofFrame: address.frame) }
  }

  /// Copies bytes out; bytes that are not memory read as 0xff.
  public func read(_ address: HostPhysical, count: Int) -> [UInt8] {
    (0..<UInt64(count)).map { offset in
      let at = address.advanced(by: offset)
      return contains(at) ? base.load(fromByteOffset: Int(at.rawValue), as: UInt8.self) : 0xff
    }
  }

  /// Copies bytes in, as a loader does. Returns false, having written nothing, unless all of the range is memory.
  public func write(_ bytes: some Collection<UInt8>, at address: HostPhysical) -> Bool {
    guard !bytes.isEmpty else { return true }
    let last = address.rawValue.addingReportingOverflow(UInt64(bytes.count) - 1)
    guard !last.overflow, contains(address), contains(HostPhysical(last.partialValue)),
      (address.rawValue < lowLimit) == (last.partialValue < lowLimit)
    else { return false }
    for frame in address.frame...last.partialValue >> 12 where codeLines[Int(frame)] != 0 { dropCode(ofFrame: frame) }
    var at = Int(address.rawValue)
    for byte in bytes {
      base.storeBytes(of: byte, toByteOffset: at, as: UInt8.self)
      touched[at >> 12] = FrameUse.changed
      at += 1
    }
    return true
  }

  /// Fills one frame with zeros.
  public func zeroFrame(at address: HostPhysical) {
    guard contains(address) else { return }
    touch(address)
    memset(base + Int(address.pageBase.rawValue), 0, 4096)
  }
}

/// What has become of a frame, as `HostMemory.touched` has it.
enum FrameUse {
  /// Never written to: all zero.
  static let untouched: UInt8 = 0
  /// Written to, but not since changes were last collected (`HostMemory.collectChanges`). No verdict lets it be written,
  /// so that the next write takes the slow path, which notes it.
  static let kept: UInt8 = 1
  static let changed: UInt8 = 2
}

/// A copy of every frame that had been written to: part of a snapshot.
public struct HostMemoryImage: Sendable {
  let frames: [(number: UInt64, bytes: [UInt8])]
  /// Bytes held.
  public var size: Int { frames.count * 4096 }
}

extension HostMemory {
  /// Copies what has been written.
  public func image() -> HostMemoryImage {
    var frames: [(UInt64, [UInt8])] = []
    for number in frameRanges.joined() where touched[Int(number)] != 0 {
      let start = UnsafeRawBufferPointer(start: base + Int(number << 12), count: 4096)
      frames.append((number, [UInt8](start)))
    }
    return HostMemoryImage(frames: frames)
  }

  /// Makes memory as it was when the image was taken. Decoded code must be dropped by the caller.
  public func restore(_ image: HostMemoryImage) {
    for number in frameRanges.joined() where touched[Int(number)] != 0 {
      memset(base + Int(number << 12), 0, 4096)
      touched[Int(number)] = 0
      codeLines[Int(number)] = 0
    }
    for (number, bytes) in image.frames {
      bytes.withUnsafeBytes { (base + Int(number << 12)).copyMemory(from: $0.baseAddress!, byteCount: 4096) }
      touched[Int(number)] = FrameUse.changed
    }
  }

  /// The frames that there are.
  public var frameRanges: [Range<UInt64>] {
    highLimit == 0 ? [0..<lowLimit >> 12] : [0..<lowLimit >> 12, highBase >> 12..<highLimit >> 12]
  }
}
