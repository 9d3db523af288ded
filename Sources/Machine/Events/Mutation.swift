#if MUTATIONS
  import Glibc

  /// Which fault is planted in this process.
  @usableFromInline enum Mutation {
    /// The value of PENUMBRA_MUTATION.
    static let planted: [UInt8] = {
      guard let name = getenv("PENUMBRA_MUTATION") else { return [] }
      return [UInt8](UnsafeRawBufferPointer(start: name, count: strlen(name)))
    }()

    @usableFromInline static func isPlanted(_ name: StaticString) -> Bool {
      planted.count == name.utf8CodeUnitCount
        && name.withUTF8Buffer { buffer in buffer.indices.allSatisfy { buffer[$0] == planted[$0] } }
    }
  }
#endif

/// Whether a deliberate fault is planted here, to find out which check catches it (`make mutations`).
///
/// Only a build of its own knows any; elsewhere this is `false` to the compiler, and nothing of it remains.
@inlinable @inline(__always) package func mutated(_ name: StaticString) -> Bool {
  #if MUTATIONS
    Mutation.isPlanted(name)
  #else
    false
  #endif
}
