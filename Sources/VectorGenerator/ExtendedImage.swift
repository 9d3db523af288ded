#if os(Linux) && arch(x86_64)
  import Machine

  /// An area of XSAVE in the standard format: the x87, SSE, and the upper halves of the YMM registers (SDM vol. 1, 13.4).
  struct ExtendedImage {
    private let base: UnsafeMutableRawPointer

    static let size = 832
    private enum Offset {
      static let mxcsr = 24, reals = 32, xmm = 160, components = 512, upper = 576
    }
    private enum Component {
      static let x87: UInt64 = 1, vectors: UInt64 = 2, upper: UInt64 = 4
    }

    init(_ base: UnsafeMutableRawPointer) { self.base = base }

    func put(_ state: HostExecutor.State) {
      let x87 = state.x87
      base.initializeMemory(as: UInt8.self, repeating: 0, count: ExtendedImage.size)
      base.storeBytes(of: x87.control, as: UInt16.self)
      base.storeBytes(of: x87.statusWord, toByteOffset: 2, as: UInt16.self)
      base.storeBytes(of: x87.tags, toByteOffset: 4, as: UInt8.self)
      base.storeBytes(of: x87.opcode, toByteOffset: 6, as: UInt16.self)
      base.storeBytes(of: x87.instructionPointer, toByteOffset: 8, as: UInt64.self)
      base.storeBytes(of: x87.dataPointer, toByteOffset: 16, as: UInt64.self)
      base.storeBytes(of: state.mxcsr, toByteOffset: Offset.mxcsr, as: UInt32.self)
      for i in 0..<8 {
        base.storeBytes(of: x87[i].significand, toByteOffset: Offset.reals + 16 * i, as: UInt64.self)
        base.storeBytes(of: x87[i].head, toByteOffset: Offset.reals + 16 * i + 8, as: UInt16.self)
      }
      for number in 0..<16 {
        base.storeBytes(of: state.xmm[number], toByteOffset: Offset.xmm + 16 * number, as: Vector128.self)
        base.storeBytes(of: state.upper[number], toByteOffset: Offset.upper + 16 * number, as: Vector128.self)
      }
      let components = Component.x87 | Component.vectors | (HostVendor.hasAVX ? Component.upper : 0)
      base.storeBytes(of: components, toByteOffset: Offset.components, as: UInt64.self)
    }

    func get(_ state: inout HostExecutor.State) {
      // A component that the header does not have is as after power-up.
      let components = base.load(fromByteOffset: Offset.components, as: UInt64.self)
      state.mxcsr = base.load(fromByteOffset: Offset.mxcsr, as: UInt32.self)
      if components & Component.x87 != 0 { state.x87 = x87 }
      for number in 0..<16 {
        if components & Component.vectors != 0 {
          state.xmm[number] = base.load(fromByteOffset: Offset.xmm + 16 * number, as: Vector128.self)
        }
        if components & Component.upper != 0 {
          state.upper[number] = base.load(fromByteOffset: Offset.upper + 16 * number, as: Vector128.self)
        }
      }
    }

    private var x87: X87State {
      var x87 = X87State()
      x87.control = base.load(as: UInt16.self)
      x87.statusWord = base.load(fromByteOffset: 2, as: UInt16.self)
      x87.opcode = base.load(fromByteOffset: 6, as: UInt16.self)
      x87.instructionPointer = base.load(fromByteOffset: 8, as: UInt64.self)
      x87.dataPointer = base.load(fromByteOffset: 16, as: UInt64.self)
      for i in 0..<8 {
        x87[i] = ExtendedReal(
          significand: base.load(fromByteOffset: Offset.reals + 16 * i, as: UInt64.self),
          head: base.load(fromByteOffset: Offset.reals + 16 * i + 8, as: UInt16.self))
      }
      x87.tags = base.load(fromByteOffset: 4, as: UInt8.self)
      return x87
    }
  }
#endif
