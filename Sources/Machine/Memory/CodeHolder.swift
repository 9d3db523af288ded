/// Somebody who keeps what follows from bytes of the memory: a processor its decoded code, and with coherent TLBs what it
/// has read from tables; or whoever wants to know which frames are written.
///
/// Several processors execute from one memory, and each decodes for itself. What one of them begins to hold, all must
/// know, because their hit paths may be storing to the frame; what one of them writes, all must drop. That happens when
/// code is decoded and when it is overwritten, so a hit never asks about it.
protocol CodeHolder: AnyObject {
  /// A frame begins to hold code: stores to it take the slow path from now on.
  func frameBecameCode(at page: UInt64)
  /// The same of many frames at once.
  func framesBecameCode()
  /// A frame's code has changed, or is to be forgotten.
  func dropCode(ofFrame frame: UInt64)
  /// Whether something that follows from a frame is kept.
  func holdsCode(ofFrame frame: UInt64) -> Bool
}

/// A processor leaves the list before it goes.
struct UnownedCodeHolder {
  unowned(unsafe) let holder: any CodeHolder
}

extension HostMemory {
  func add(_ holder: any CodeHolder) { codeHolders.append(UnownedCodeHolder(holder: holder)) }

  func remove(_ holder: any CodeHolder) { codeHolders.removeAll { $0.holder === holder } }

  /// Notes that lines of a page hold decoded code.
  func markCode(_ lines: UInt64, ofPageAt page: UInt64) {
    let frame = Int(page >> 12)
    if codeLines[frame] == 0 { for each in codeHolders { each.holder.frameBecameCode(at: page) } }
    codeLines[frame] |= lines
  }

  /// Makes everything stale that anybody has decoded from a frame.
  func dropCode(ofFrame frame: UInt64) {
    guard contains(HostPhysical(frame << 12)) else { return }
    codeLines[Int(frame)] = 0
    for each in codeHolders { each.holder.dropCode(ofFrame: frame) }
  }

  /// One holder has forgotten what it decoded from a frame; others may still hold code there.
  func codeWasForgotten(ofFrame frame: UInt64) {
    guard contains(HostPhysical(frame << 12)) else { return }
    if !codeHolders.contains(where: { $0.holder.holdsCode(ofFrame: frame) }) { codeLines[Int(frame)] = 0 }
  }
}
