/// What CPUID returns (SDM vol. 2, CPUID; APM vol. 3, appendix E). The same under every kind of paging.
struct CPUIDLeaf: Equatable, Sendable {
  var eax: UInt32 = 0
  var ebx: UInt32 = 0
  var ecx: UInt32 = 0
  var edx: UInt32 = 0
}

extension Processor {
  /// Leaf 0xd tells about XSAVE, leaf 0xb about the topology.
  private var highestBasicLeaf: UInt32 {
    // What limits it is there for operating systems that read no further (SDM vol. 4, IA32_MISC_ENABLE, bit 22).
    if s.pointee.miscEnable & MiscEnable.limitCPUID != 0 { return 2 }
    return features.contains(.xsave) ? 0xd : features.contains(.x2apic) ? 0xb : 7
  }
  private static let highestExtendedLeaf: UInt32 = 0x8000_0008

  /// One leaf.
  func cpuidLeaf(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDLeaf {
    switch leaf {
    case 0...highestBasicLeaf:
      return basicLeaf(leaf, subleaf)
    case 0x8000_0000...Self.highestExtendedLeaf:
      return extendedLeaf(leaf)
    default:
      // Beyond the highest leaf Intel repeats the highest basic one, AMD gives zeros. 0x40000000 is such a leaf: no
      // hypervisor shows itself.
      return profile.vendor == .intel ? basicLeaf(highestBasicLeaf, subleaf) : CPUIDLeaf()
    }
  }

  private func basicLeaf(_ leaf: UInt32, _ subleaf: UInt32) -> CPUIDLeaf {
    switch leaf {
    case 0:
      var result = vendorString
      result.eax = highestBasicLeaf
      return result
    case 1:
      var result = CPUIDLeaf(eax: signature)
      // Logical processors, lines of 64 bytes for CLFLUSH, the initial APIC ID.
      result.ebx = topology.identifier << 24 | min(topology.processors, 255) << 16
      if features.contains(.clflush) { result.ebx |= 8 << 8 }
      result.ecx = features.bits(leaf: 1, .ecx)
      if s.pointee.cr4 & CR4.osXSAVE != 0 { result.ecx |= 1 << 27 }
      result.edx = features.bits(leaf: 1, .edx)
      if !showsLocalAPIC { result.edx &= ~(1 << 9) }
      // HTT: the number of logical processors in EBX means something.
      if sharesTime { result.edx |= 1 << 28 }
      return result
    case 2:
      // One descriptor: the caches are told by leaf 4.
      return profile.vendor == .intel ? CPUIDLeaf(eax: 0x0000_ff01) : CPUIDLeaf()
    case 4:
      return profile.vendor == .intel ? cacheLeaf(subleaf) : CPUIDLeaf()
    case 7:
      guard subleaf == 0 else { return CPUIDLeaf() }
      var result = CPUIDLeaf(
        ebx: features.bits(leaf: 7, .ebx), ecx: features.bits(leaf: 7, .ecx), edx: features.bits(leaf: 7, .edx))
      // OSPKE.
      if s.pointee.cr4 & CR4.protectionKeys != 0 { result.ecx |= 1 << 4 }
      return result
    case 0xb: return features.contains(.x2apic) ? topology.leaf(subleaf) : CPUIDLeaf()
    case 0xd:
      return extendedStateLeaf(subleaf)
    default:
      return CPUIDLeaf()
    }
  }

  private func extendedLeaf(_ leaf: UInt32) -> CPUIDLeaf {
    switch leaf {
    case 0x8000_0000:
      var result = profile.vendor == .amd ? vendorString : CPUIDLeaf()
      result.eax = Self.highestExtendedLeaf
      return result
    case 0x8000_0001:
      var result = CPUIDLeaf()
      result.ecx = features.bits(leaf: leaf, .ecx)
      result.edx = features.bits(leaf: leaf, .edx)
      if profile.vendor == .amd {
        result.eax = signature
        // AMD repeats leaf 1's bits 0-9, 12-17, 23 and 24 here.
        result.edx |= features.bits(leaf: 1, .edx) & 0x0183_f3ff
        // CmpLegacy: the logical processors of leaf 1 are cores.
        if sharesTime { result.ecx |= 1 << 1 }
      } else if s.pointee.codeSize != .bits64 {
        // Intel has SYSCALL, and shows it, in 64-bit mode only.
        result.edx &= ~(1 << 11)
      }
      if s.pointee.miscEnable & MiscEnable.executeDisableOff != 0 { result.edx &= ~(1 << 20) }
      return result
    case 0x8000_0002...0x8000_0004:
      return brandString(leaf &- 0x8000_0002)
    case 0x8000_0006:
      let kilobytes = UInt32(truncatingIfNeeded: min(profile[.cacheL2Bytes] >> 10, 0xffff))
      return CPUIDLeaf(ecx: kilobytes == 0 ? 0 : kilobytes << 16 | 6 << 12 | 64)
    case 0x8000_0007:
      return CPUIDLeaf(edx: features.bits(leaf: leaf, .edx))
    case 0x8000_0008:
      let linearBits: UInt32 = features.contains(.la57) ? 57 : 48
      return CPUIDLeaf(
        eax: UInt32(truncatingIfNeeded: costs.physicalBits) | linearBits << 8, ebx: features.bits(leaf: leaf, .ebx),
        ecx: profile.vendor == .amd && sharesTime ? topology.identifierBits << 12 | topology.processors - 1 : 0)
    default:
      return CPUIDLeaf()
    }
  }

  private var vendorString: CPUIDLeaf {
    switch profile.vendor {
    case .intel: CPUIDLeaf(ebx: 0x756e_6547, ecx: 0x6c65_746e, edx: 0x4965_6e69)  // GenuineIntel
    case .amd: CPUIDLeaf(ebx: 0x6874_7541, ecx: 0x444d_4163, edx: 0x6974_6e65)  // AuthenticAMD
    }
  }

  /// Family, model, stepping: one of each vendor, since nothing that is modelled depends on them.
  var signature: UInt32 {
    switch profile.vendor {
    case .intel: 0x0005_06e3  // family 6, model 94: Skylake
    case .amd: 0x0083_0f10  // family 17h, model 31h: Zen 2
    }
  }

  /// "Penumbra" and the profile's name, sixteen bytes a leaf, padded with zeros.
  private func brandString(_ part: UInt32) -> CPUIDLeaf {
    let text = Array("Penumbra \(profile.name)".utf8.prefix(47))
    func word(_ index: UInt32) -> UInt32 {
      (0..<4).reduce(0) { word, byte in
        let position = Int(part &* 16 &+ index &* 4) + byte
        return position < text.count ? word | UInt32(text[position]) << UInt32(8 * byte) : word
      }
    }
    return CPUIDLeaf(eax: word(0), ebx: word(1), ecx: word(2), edx: word(3))
  }

  /// Leaf 4: the caches that the profile has, one a subleaf.
  private func cacheLeaf(_ subleaf: UInt32) -> CPUIDLeaf {
    let caches: [(level: UInt32, type: UInt32, bytes: UInt64, ways: UInt64)] = [
      (1, 1, profile[.cacheL1Bytes], profile[.cacheL1Ways]), (2, 3, profile[.cacheL2Bytes], profile[.cacheL2Ways]),
      (3, 3, profile[.cacheL3Bytes], profile[.cacheL3Ways]),
    ].filter { $0.bytes != 0 && $0.ways != 0 && $0.bytes >= 64 &* $0.ways }
    guard Int(subleaf) < caches.count else { return CPUIDLeaf() }
    let cache = caches[Int(subleaf)]
    let sets = cache.bytes / 64 / cache.ways
    // Bits 31:26: the cores' identifiers in the package. Each has its caches to itself.
    let cores = (UInt32(1) << topology.identifierBits - 1) & 0x3f
    return CPUIDLeaf(
      eax: cache.type | cache.level << 5 | 1 << 8 | cores << 26,
      ebx: 63 | UInt32(truncatingIfNeeded: cache.ways &- 1) << 22,
      ecx: UInt32(truncatingIfNeeded: sets &- 1))
  }
}
