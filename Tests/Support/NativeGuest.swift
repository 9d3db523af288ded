import Boot
import Decoding
import Devices
import Guests
import Machine

/// A built-in guest on the bare machine, as the emulator runs it under native paging.
public final class NativeGuest {
  public let processor: Processor
  public let memory: HostMemory
  public let devices: PCDevices
  public let console = BufferConsole()

  /// Everything that a run can be continued from.
  public struct Snapshot {
    let processor: ProcessorSnapshot
    let memory: HostMemoryImage
    let devices: PCDevices.State
  }

  public init(
    _ name: String, _ commandLine: String = "", profile: CostProfile, options: ProcessorOptions = ProcessorOptions()
  ) throws {
    guard let guest = BuiltInGuest.named(name) else { preconditionFailure("no guest \(name)") }
    let size: UInt64 = 64 << 20
    let plan = try BootPlan.make(
      image: guest.image, options: BootOptions(memorySize: size, commandLine: commandLine, name: name))
    memory = try HostMemory(low: size)
    devices = PCDevices(clockHertz: max(profile[.frequency], 1), memoryBytes: size, console: console)
    processor = Processor(
      memory: memory, bus: devices, decoder: CapstoneDecoder(vendor: profile.vendor == .amd ? .amd : .intel),
      profile: profile,
      features: FeatureSet(names: FeatureSet.known.map(\.name)), options: options)
    for segment in plan.segments where !segment.bytes.isEmpty {
      precondition(memory.write(segment.bytes, at: HostPhysical(segment.address.rawValue)), "no room for \(segment)")
    }
    NativeGuest.start(processor, at: plan.entry)
  }

  /// Puts a processor into the state that a boot protocol promises.
  public static func start(_ processor: Processor, at entry: EntryState) {
    var state = ProcessorState()
    let registers: [(UInt8, UInt64)] = [
      (Slot.rax, entry.rax), (Slot.rbx, entry.rbx), (Slot.rcx, entry.rcx), (Slot.rdx, entry.rdx),
      (Slot.rsi, entry.rsi), (Slot.rdi, entry.rdi), (Slot.rbp, entry.rbp), (Slot.rsp, entry.rsp),
    ]
    for (slot, value) in registers { state.slots[Int(slot)] = value }
    state.rip = entry.rip
    state.rflags = entry.rflags
    state.cr0 = entry.cr0
    state.cr3 = entry.cr3
    state.cr4 = entry.cr4
    state.efer = entry.efer
    for register in SegmentRegister.allCases { state[register] = segment(entry.data) }
    state[.cs] = segment(entry.cs)
    state.tr = segment(entry.tr)
    state.ldtr = segment(entry.ldtr)
    state.gdtr = DescriptorTable(base: entry.gdt.base, limit: entry.gdt.limit)
    state.idtr = DescriptorTable(base: entry.idt.base, limit: entry.idt.limit)
    processor.state = state
    processor.refresh()
  }

  private static func segment(_ saved: SegmentState) -> Machine.Segment {
    let isUnusable = saved.attributes & 0x10000 != 0
    return Machine.Segment(
      selector: saved.selector, base: saved.base, limit: saved.limit,
      attributes: isUnusable ? 0 : UInt16(truncatingIfNeeded: saved.attributes))
  }

  public func snapshot() -> Snapshot {
    Snapshot(processor: processor.snapshot(), memory: memory.image(), devices: devices.state)
  }

  public func restore(_ snapshot: Snapshot) {
    memory.restore(snapshot.memory)
    devices.state = snapshot.devices
    processor.restore(snapshot.processor)
  }
}
