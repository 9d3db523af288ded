/// How the machine's processors hang together: all are cores of one package, a thread each (SDM vol. 3, 9.9).
struct Topology {
  /// The APIC ID: the processor's index.
  let identifier: UInt32
  let processors: UInt32

  /// Bits of an APIC ID that tell cores of the package apart.
  var identifierBits: UInt32 { UInt32(32 - (processors - 1).leadingZeroBitCount) }

  /// CPUID leaf 0xb: threads at level 0, cores at level 1. EAX has the bits to shift an x2APIC ID by to get to the next
  /// level, EBX the logical processors, ECX the level and its type, EDX the x2APIC ID.
  func leaf(_ subleaf: UInt32) -> CPUIDLeaf {
    switch subleaf {
    case 0: CPUIDLeaf(eax: 0, ebx: 1, ecx: 1 << 8, edx: identifier)
    case 1: CPUIDLeaf(eax: identifierBits, ebx: processors, ecx: 2 << 8 | 1, edx: identifier)
    default: CPUIDLeaf(ecx: subleaf & 0xff, edx: identifier)
    }
  }
}

extension Processor {
  var topology: Topology {
    Topology(
      identifier: UInt32(truncatingIfNeeded: index), processors: UInt32(clamping: max(options.count, 1)))
  }
}
