/// Which frames of a memory have been written to since they were last looked at, by whomever.
///
/// It costs the hit path nothing: a frame that is watched takes the slow path at its first store, as one does that holds
/// decoded code, and none after that.
///
/// Safety: the memory knows it until it goes.
public final class WriteLog: CodeHolder {
  private let memory: HostMemory
  private let watched: FrameSet
  private var written: [UInt64] = []

  /// Watches every frame.
  public init(_ memory: HostMemory) {
    self.memory = memory
    watched = FrameSet(frames: memory.capacity >> 12)
    memory.add(self)
    watchAll()
  }

  deinit { memory.remove(self) }

  /// The frames that were written to since the last call, in the order of their first stores; they are watched again.
  public func collect() -> [UInt64] {
    // Whoever watches frames makes the hit path forget all it knows.
    guard !written.isEmpty else { return [] }
    let frames = written
    written = []
    memory.watch(frames)
    for frame in frames { watched.insert(frame) }
    return frames
  }

  /// Forgets what was written and watches every frame, as after memory has been restored.
  public func watchAll() {
    written.removeAll(keepingCapacity: true)
    for range in memory.frameRanges {
      memory.watch(range)
      for frame in range { watched.insert(frame) }
    }
  }

  func frameBecameCode(at page: UInt64) {}
  func framesBecameCode() {}
  func dropCode(ofFrame frame: UInt64) { if watched.remove(frame) { written.append(frame) } }
  func holdsCode(ofFrame frame: UInt64) -> Bool { watched.contains(frame) }
}

extension HostMemory {
  /// Makes every store to some frames take the slow path, until the next one.
  fileprivate func watch(_ frames: some Sequence<UInt64>) {
    for frame in frames { codeLines[Int(frame)] = .max }
    for each in codeHolders { each.holder.framesBecameCode() }
  }
}
