/// Bits of XCR0, of IA32_XSS and of an XSAVE area's header (SDM vol. 1, 13.1).
enum ExtendedComponents {
  static let x87: UInt64 = 1 << 0
  /// XMM registers, and in the standard format MXCSR.
  static let vectors: UInt64 = 1 << 1
  /// The upper halves of the YMM registers.
  static let upperVectors: UInt64 = 1 << 2
  /// PKRU.
  static let keys: UInt64 = 1 << 9
  /// XCOMP_BV's bit of the compacted format.
  static let compacted: UInt64 = 1 << 63
}

/// A state component that lies behind the header of an XSAVE area; those before it are FXSAVE's.
struct ExtendedComponent: Sendable {
  /// Its bit's number.
  let number: UInt64
  let size: UInt64
  /// Where it is in the standard format; a supervisor component has no place there.
  let offset: UInt64
  /// Enabled by IA32_XSS and not by XCR0.
  let isSupervisor: Bool
  let feature: FeatureSet

  var bit: UInt64 { 1 << number }

  /// Where the components begin: behind FXSAVE's area and the header.
  static let start: UInt64 = 576

  /// In the order of their numbers, which is that of the compacted format. None wants to be aligned there.
  static let all: [ExtendedComponent] = [
    ExtendedComponent(number: 2, size: 256, offset: 576, isSupervisor: false, feature: .avx),
    ExtendedComponent(number: 9, size: 8, offset: 832, isSupervisor: false, feature: .pku),
  ]

  /// The size of an area of the standard format with these components.
  static func standardSize(_ components: UInt64) -> UInt64 {
    all.filter { components & $0.bit != 0 && !$0.isSupervisor }.map { $0.offset + $0.size }.max() ?? start
  }

  /// The size of one of the compacted format.
  static func compactedSize(_ components: UInt64) -> UInt64 {
    all.filter { components & $0.bit != 0 }.reduce(start) { $0 + $1.size }
  }

  /// Where the component is in an area whose XCOMP_BV has these.
  func compactedOffset(_ components: UInt64) -> UInt64 {
    ExtendedComponent.compactedSize(components & (bit - 1))
  }
}

extension Processor {
  /// The bits that XCR0 can have.
  var supportedComponents: UInt64 {
    ExtendedComponent.all.filter { !$0.isSupervisor && features.contains($0.feature) }
      .reduce(ExtendedComponents.x87 | ExtendedComponents.vectors) { $0 | $1.bit }
  }

  /// The bits that IA32_XSS can have.
  var supportedSupervisorComponents: UInt64 {
    ExtendedComponent.all.filter { $0.isSupervisor && features.contains($0.feature) }.reduce(0) { $0 | $1.bit }
  }

  /// Whether XCR0 may have a value (SDM vol. 1, 13.3): the x87's bit always, AVX's with SSE's only.
  func isValidXCR0(_ value: UInt64) -> Bool {
    let avx = ExtendedComponents.vectors | ExtendedComponents.upperVectors
    return value & ExtendedComponents.x87 != 0 && value & ~supportedComponents == 0
      && (value & ExtendedComponents.upperVectors == 0 || value & avx == avx)
  }

  /// CPUID's leaf 0xd (SDM vol. 1, 13.2).
  func extendedStateLeaf(_ subleaf: UInt32) -> CPUIDLeaf {
    guard features.contains(.xsave) else { return CPUIDLeaf() }
    func low(_ value: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: value) }
    switch subleaf {
    case 0:
      return CPUIDLeaf(
        eax: low(supportedComponents), ebx: low(ExtendedComponent.standardSize(s.pointee.xcr0)),
        ecx: low(ExtendedComponent.standardSize(supportedComponents)), edx: low(supportedComponents >> 32))
    case 1:
      let compacts = features.contains(.xsavec) || features.contains(.xsaves)
      return CPUIDLeaf(
        eax: features.bits(leaf: 0xd, subleaf: 1, .eax),
        ebx: compacts ? low(ExtendedComponent.compactedSize(s.pointee.xcr0 | s.pointee.xss)) : 0,
        ecx: low(supportedSupervisorComponents), edx: low(supportedSupervisorComponents >> 32))
    default:
      guard
        let component = ExtendedComponent.all.first(where: {
          $0.number == UInt64(subleaf) && features.contains($0.feature)
        })
      else { return CPUIDLeaf() }
      return CPUIDLeaf(
        eax: low(component.size), ebx: low(component.offset), ecx: component.isSupervisor ? 1 : 0)
    }
  }

  /// The components that are not in their initial configuration: XINUSE (SDM vol. 1, 13.6).
  var componentsInUse: UInt64 {
    var result: UInt64 = s.pointee.vector.x87.isInitial ? 0 : ExtendedComponents.x87
    var vectors = Vector128()
    var upper = Vector128()
    for number in 0..<vectorCount {
      vectors |= s.pointee.vector.xmm[number]
      upper |= s.pointee.vector.upper[number]
    }
    if vectors != Vector128() { result |= ExtendedComponents.vectors }
    if upper != Vector128() { result |= ExtendedComponents.upperVectors }
    if s.pointee.pkru != 0 { result |= ExtendedComponents.keys }
    return result
  }
}
