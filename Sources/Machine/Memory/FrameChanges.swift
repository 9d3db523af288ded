import Glibc

/// The contents of one frame at some time. Several histories of the memory may share it.
public final class FrameCopy: Sendable {
  /// 4096 bytes, owned here and never written after they were copied.
  nonisolated(unsafe) fileprivate let bytes: UnsafeMutableRawPointer

  fileprivate init(copying source: UnsafeRawPointer) {
    bytes = .allocate(byteCount: 4096, alignment: 64)
    bytes.copyMemory(from: source, byteCount: 4096)
  }

  /// A frame that had not been touched.
  public static func zeros() -> FrameCopy { FrameCopy() }

  private init() {
    bytes = .allocate(byteCount: 4096, alignment: 64)
    memset(bytes, 0, 4096)
  }

  deinit { bytes.deallocate() }

  /// The 64-bit word at an 8-byte-aligned offset.
  public func word(at offset: Int) -> UInt64 { bytes.load(fromByteOffset: offset & 0xff8, as: UInt64.self) }
}

/// Copy-on-write by slow path: which frames have changed since somebody last asked. It is what snapshots in short
/// intervals rest on.
extension HostMemory {
  /// The frames that have changed since the last call, or since the memory was made, in ascending order. From now on they
  /// count as unchanged.
  ///
  /// A processor's verdicts on writes must be dropped with it (`Processor.forgetVerdicts`).
  public func collectChanges() -> [UInt64] {
    var changed: [UInt64] = []
    for range in frameRanges {
      var frame = Int(range.lowerBound)
      let end = Int(range.upperBound)
      while frame < end {
        // Eight frames at a time, most of which nobody has touched.
        if frame & 7 == 0 && frame + 8 <= end {
          let eight = UnsafeRawPointer(touched + frame).loadUnaligned(as: UInt64.self)
          if eight & 0x0202_0202_0202_0202 == 0 {
            frame += 8
            continue
          }
        }
        if touched[frame] == FrameUse.changed {
          touched[frame] = FrameUse.kept
          changed.append(UInt64(frame))
        }
        frame += 1
      }
    }
    return changed
  }

  /// A frame's contents now; nil where there is no memory.
  public func copy(ofFrame frame: UInt64) -> FrameCopy? {
    contains(HostPhysical(frame << 12)) ? FrameCopy(copying: base + Int(frame << 12)) : nil
  }

  /// Gives a frame the contents that it had; nil: it had not been touched. It counts as unchanged. Code decoded from it
  /// must be dropped by the caller.
  public func restore(_ copy: FrameCopy?, toFrame frame: UInt64) {
    guard contains(HostPhysical(frame << 12)) else { return }
    let place = base + Int(frame << 12)
    if let copy {
      place.copyMemory(from: copy.bytes, byteCount: 4096)
      touched[Int(frame)] = FrameUse.kept
    } else {
      memset(place, 0, 4096)
      touched[Int(frame)] = FrameUse.untouched
    }
    codeLines[Int(frame)] = 0
  }
}
