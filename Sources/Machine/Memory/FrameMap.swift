import Glibc

/// The map from guest-physical frames to host-physical frames that a hypervisor keeps (KVM: memory slots; Xen: P2M).
///
/// A flat table, so that a look-up is one load; the hypervisor is its only writer. Entries are `hpa | flags`, 0 for a
/// frame that has none.
public final class FrameMap {
  /// Guest frames covered, from 0.
  public let frames: UInt64
  private let entries: UnsafeMutablePointer<UInt64>

  /// The page size by which the host maps the frame, in bits 1:0 of an entry, and the bits that permit.
  private static let writable: UInt64 = 1 << 2
  private static let valid: UInt64 = 1 << 3

  public init(frames: UInt64) {
    self.frames = frames
    let bytes = Int(max(frames, 1)) * 8
    let start = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    precondition(start != MAP_FAILED, "no address space for a frame map of \(bytes) bytes")
    entries = start!.bindMemory(to: UInt64.self, capacity: Int(max(frames, 1)))
  }

  deinit { munmap(entries, Int(max(frames, 1)) * 8) }

  /// Where a guest-physical address is; nil where the hypervisor has mapped nothing.
  @inline(__always) public func lookup(_ address: GuestPhysical) -> HostMapping? {
    guard address.frame < frames else { return nil }
    let entry = entries[Int(address.frame)]
    guard entry & FrameMap.valid != 0 else { return nil }
    return HostMapping(
      address: HostPhysical(entry & EntryBit.frameMask | address.pageOffset), writable: entry & FrameMap.writable != 0,
      executable: true, size: PageSize(rawValue: UInt8(entry & 3)) ?? .page4K)
  }

  /// Maps one 4 KiB frame; `size` is the host page that it is part of.
  public func map(_ address: GuestPhysical, to host: HostPhysical, size: PageSize, writable: Bool = true) {
    guard address.frame < frames else { return }
    entries[Int(address.frame)] =
      host.rawValue & EntryBit.frameMask | UInt64(size.rawValue) | FrameMap.valid | (writable ? FrameMap.writable : 0)
  }

  /// The first frame that is mapped, from one on and then from 0.
  public func firstMapped(from start: UInt64) -> UInt64? {
    guard start < frames else { return nil }
    return (start..<frames).first { entries[Int($0)] != 0 } ?? (0..<start).first { entries[Int($0)] != 0 }
  }

  /// Every mapped frame, for a snapshot.
  public func image() -> [(frame: UInt64, entry: UInt64)] {
    (0..<frames).compactMap { entries[Int($0)] == 0 ? nil : ($0, entries[Int($0)]) }
  }

  /// Makes the map as it was.
  public func restore(_ image: [(frame: UInt64, entry: UInt64)]) {
    memset(entries, 0, Int(max(frames, 1)) * 8)
    for (frame, entry) in image where frame < frames { entries[Int(frame)] = entry }
  }
}
