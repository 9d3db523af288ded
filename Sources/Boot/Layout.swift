import Machine

/// Guest memory while a plan is being made: the kernel's segments where its file wants them, and free places for what
/// the protocol adds.
struct Layout {
  /// Where to look for a free place.
  enum Window {
    /// 0x9000 to 0x90000. Below it stand the real-mode vectors and the trampolines with which kernels start other
    /// processors (0x7000, 0x8000); above it firmware's data and Linux's own trampoline.
    case belowOneMegabyte
    /// From the end of the kernel's last segment to the end of low RAM.
    case afterKernel
    /// 1 MiB to the end of low RAM.
    case anywhere
  }

  let map: MemoryMap
  /// Sorted by address, without overlap.
  private(set) var segments: [Segment]
  /// Addresses that the kernel will use before it has read the memory map, though nothing is loaded there.
  private var kept: [Range<UInt64>] = []

  /// A layout with the segments of a kernel, each of which must lie in usable memory, apart from the others, and below
  /// `limit`.
  init(_ map: MemoryMap, kernel: [Segment], below limit: UInt64 = 4 << 30) throws(BootError) {
    self.map = map
    guard !kernel.isEmpty else { throw BootError("image", nil, "it has no segment to load") }
    for segment in kernel {
      let part = Part(segment.name, .address(segment.address.rawValue))
      let (end, wraps) = segment.address.rawValue.addingReportingOverflow(segment.memorySize)
      guard !wraps else { throw part.error("its size of \(hexadecimal(segment.memorySize)) bytes wraps the address") }
      guard end <= limit else {
        throw part.error(
          "its end \(hexadecimal(end)) lies above \(hexadecimal(limit)), which the protocol cannot reach")
      }
      guard map.isUsable(segment.address, segment.memorySize) else {
        throw part.error(
          "its \(hexadecimal(segment.memorySize)) bytes are not all usable memory of a guest with "
            + "\(map.memorySize >> 10) KiB")
      }
    }
    segments = kernel.sorted { $0.address < $1.address }
    for (lower, upper) in zip(segments, segments.dropFirst()) where lower.end > upper.address {
      throw BootError(upper.name, .address(upper.address.rawValue), "it overlaps \(lower.name)")
    }
  }

  /// The end of the kernel's and of all placed segments, in bytes.
  private var kernelEnd: UInt64 { max(segments.last?.end.rawValue ?? 0, kept.map(\.upperBound).max() ?? 0) }

  /// Keeps a range free of what is placed later.
  mutating func keep(_ range: Range<UInt64>) { kept.append(range) }

  /// Finds the lowest free place in the first window that has one, and puts a segment there.
  mutating func place(
    _ name: String, _ bytes: ArraySlice<UInt8>, size: UInt64? = nil, alignment: UInt64 = 16,
    in windows: [Window] = [.belowOneMegabyte, .afterKernel, .anywhere]
  ) throws(BootError) -> GuestPhysical {
    let size = max(size ?? 0, UInt64(bytes.count), 1)
    for window in windows {
      let bounds = bounds(window)
      var candidate = roundUp(bounds.lowerBound, alignment)
      for taken in occupied where taken.upperBound > candidate && taken.lowerBound < candidate + size {
        candidate = roundUp(taken.upperBound, alignment)
      }
      if candidate < bounds.upperBound, size <= bounds.upperBound - candidate {
        return insert(name, bytes, size, candidate)
      }
    }
    throw noPlace(name, size)
  }

  /// Finds the highest free place between 1 MiB and `limit`, and puts a segment there.
  mutating func placeHigh(
    _ name: String, _ bytes: ArraySlice<UInt8>, alignment: UInt64 = 4096, below limit: UInt64 = 4 << 30
  ) throws(BootError) -> GuestPhysical {
    let size = max(UInt64(bytes.count), 1)
    let bounds = bounds(.anywhere)
    var end = min(bounds.upperBound, limit)
    func fits() -> Bool { end >= bounds.lowerBound && size <= end - bounds.lowerBound }
    for taken in occupied.reversed() where fits() {
      let candidate = (end - size) & ~(alignment - 1)
      if taken.upperBound > candidate && taken.lowerBound < candidate + size { end = taken.lowerBound }
    }
    guard fits(), (end - size) & ~(alignment - 1) >= bounds.lowerBound else { throw noPlace(name, size) }
    return insert(name, bytes, size, (end - size) & ~(alignment - 1))
  }

  /// Gives a placed segment its bytes, once they are known; no more than its size.
  mutating func fill(_ address: GuestPhysical, _ bytes: ArraySlice<UInt8>) {
    guard let index = segments.firstIndex(where: { $0.address == address }) else { return }
    segments[index].bytes = bytes
  }

  private func noPlace(_ name: String, _ size: UInt64) -> BootError {
    BootError(
      name, nil, "no free place for its \(hexadecimal(size)) bytes in a guest with \(map.memorySize >> 10) KiB")
  }

  private func bounds(_ window: Window) -> Range<UInt64> {
    switch window {
    case .belowOneMegabyte: 0x9000..<0x90000
    case .afterKernel: min(max(kernelEnd, 1 << 20), map.lowEnd)..<map.lowEnd
    case .anywhere: 1 << 20..<map.lowEnd
    }
  }

  /// What is taken, sorted by the start.
  private var occupied: [Range<UInt64>] {
    let loaded = segments.map { $0.address.rawValue..<$0.end.rawValue }
    return (loaded + kept).sorted { $0.lowerBound < $1.lowerBound }
  }

  private mutating func insert(
    _ name: String, _ bytes: ArraySlice<UInt8>, _ size: UInt64, _ address: UInt64
  ) -> GuestPhysical {
    let segment = Segment(name: name, address: GuestPhysical(address), bytes: bytes, memorySize: size)
    let index = segments.firstIndex { $0.address > segment.address } ?? segments.endIndex
    segments.insert(segment, at: index)
    return segment.address
  }
}

/// The next multiple of a power of two; both are far below 2^63 here.
func roundUp(_ value: UInt64, _ alignment: UInt64) -> UInt64 { (value + alignment - 1) & ~(alignment - 1) }
