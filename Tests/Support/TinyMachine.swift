import Decoding
import Machine

/// A processor in 64-bit mode over a guest's memory, and code as bytes for it: no boot, no devices but scripted ones.
public final class TinyMachine {
  public let guest: GuestMemory
  public let processor: Processor
  public let bus: ScriptedBus

  /// Where things are, linear and guest-physical alike. `SystemPages` maps all of it for the supervisor.
  public enum Place {
    public static let system: UInt64 = 0x10_0000
    public static let gdt = system
    public static let idt = system + 0x1000
    public static let task = system + 0x2000
    /// One handler every 16 bytes, by vector.
    public static let handlers = system + 0x3000
    /// Tops of the stacks: of ring 0, of IST 1.
    public static let stack = system + 0x6000
    public static let otherStack = system + 0x7000
    public static let pages: UInt64 = 8
  }

  /// The selectors of the GDT.
  public enum Selector {
    public static let kernelCode: UInt16 = 0x08, kernelData: UInt16 = 0x10, userData: UInt16 = 0x1b
    public static let userCode: UInt16 = 0x23, task: UInt16 = 0x28
  }

  /// - Parameters:
  ///   - code: goes to guest-physical `physical`, and is executed at `rip`.
  ///   - anyBus: a bus in the place of the scripted one.
  public init(
    _ guest: GuestMemory, code: [UInt8] = [], at rip: UInt64 = 0, physical: UInt64? = nil, cpl: UInt8 = 0,
    profile: CostProfile = .flat(), options: ProcessorOptions = ProcessorOptions(), bus: ScriptedBus = ScriptedBus(),
    features: FeatureSet = FeatureSet(names: FeatureSet.known.map(\.name)), anyBus: (any DeviceBus)? = nil
  ) {
    self.guest = guest
    self.bus = bus
    processor = Processor(
      memory: guest.host, bus: anyBus ?? bus, decoder: CapstoneDecoder(vendor: profile.vendor == .amd ? .amd : .intel),
      profile: profile,
      features: features, options: options)
    if !code.isEmpty { guest.write(code, atPhysical: physical ?? rip) }
    update { state in
      state.rip = rip
      state.cr0 = CR0.protectionEnable | CR0.extensionType | CR0.paging | CR0.writeProtect
      state.cr3 = guest.tables.root
      state.cr4 = CR4.physicalAddressExtension | (guest.tables.levels == 5 ? CR4.la57 : 0)
      state.efer = EFER.longModeEnable | EFER.longModeActive | EFER.noExecute | EFER.systemCall
    }
    enterRing(cpl)
    if let plan = guest.nestedPlan(physicalBits: profile[.physicalBits]) {
      processor.enter(VMControls(paging: .nested(plan), intercepts: [], vpid: 1))
    }
  }

  /// Changes the processor's state.
  public func update(_ change: (inout ProcessorState) -> Void) {
    var state = processor.state
    change(&state)
    processor.state = state
    processor.refresh()
  }

  /// Loads flat segments of a privilege, as if code of that privilege had been entered.
  public func enterRing(_ cpl: UInt8) {
    let level = UInt16(cpl) << 5
    update { state in
      state.cpl = cpl
      state[.cs] = Segment(
        selector: cpl == 0 ? Selector.kernelCode : Selector.userCode, base: 0, limit: .max, attributes: 0xa09b | level)
      let data = Segment(
        selector: cpl == 0 ? Selector.kernelData : Selector.userData, base: 0, limit: .max, attributes: 0xc093 | level)
      for register in [SegmentRegister.ss, .ds, .es, .fs, .gs] { state[register] = data }
    }
  }

  /// Writes a GDT, an IDT whose handlers stop the machine (HLT with interrupts off), and a task state; maps them for
  /// the supervisor unless told otherwise.
  public func installHandlers(mapped: Bool = true, attributes: PageAttribute...) {
    if mapped {
      guest.map(
        PageMapping(
          address: Place.system, physical: Place.system, size: .page4K, pages: Place.pages,
          attributes: [.writable] + attributes))
    }
    let descriptors: [UInt64] = [
      0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
      0x0000_8b00_0000_0067 | Place.task << 16, 0,
    ]
    for (index, descriptor) in descriptors.enumerated() {
      guest.setWord(descriptor, atPhysical: Place.gdt + UInt64(index) * 8)
    }
    for vector in 0..<256 as Range<UInt64> {
      setGate(UInt8(vector))
      guest.write([0xf4], atPhysical: Place.handlers + vector * 16)
    }
    guest.setWord(Place.stack, atPhysical: Place.task + 4)
    guest.setWord(Place.otherStack, atPhysical: Place.task + 0x24)
    // The I/O permission bitmap begins beyond the limit: there is none.
    guest.write([0x68, 0x00], atPhysical: Place.task + 0x66)
    update { state in
      state.gdtr = DescriptorTable(base: Place.gdt, limit: 0x37)
      state.idtr = DescriptorTable(base: Place.idt, limit: 0xfff)
      state.tr = Segment(selector: Selector.task, base: Place.task, limit: 0x67, attributes: 0x8b)
      state.slots[Int(Slot.rsp)] = Place.stack
    }
  }

  /// An interrupt gate (type 0xe) or trap gate (0xf).
  public func setGate(
    _ vector: UInt8, type: UInt64 = 0xe, privilege: UInt64 = 0, isPresent: Bool = true, stack: UInt64 = 0,
    selector: UInt16 = Selector.kernelCode
  ) {
    let target = Place.handlers + UInt64(vector) * 16
    let at = Place.idt + UInt64(vector) * 16
    guest.setWord(
      target & 0xffff | UInt64(selector) << 16 | stack << 32 | type << 40 | privilege << 45
        | (isPresent ? 1 << 47 : 0) | (target >> 16) << 48, atPhysical: at)
    guest.setWord(target >> 32, atPhysical: at + 8)
  }

  /// Puts code where a vector's handler is; at most 16 bytes.
  public func setHandler(_ vector: UInt8, _ code: [UInt8]) {
    guest.write(code, atPhysical: Place.handlers + UInt64(vector) * 16)
  }

  /// A general register.
  public subscript(_ slot: UInt8) -> UInt64 {
    get { processor.state.slots[Int(slot)] }
    set {
      var state = processor.state
      state.slots[Int(slot)] = newValue
      processor.state = state
    }
  }

  /// Runs some instructions, or to the end.
  @discardableResult public func run(_ instructions: UInt64? = nil) -> RunResult {
    guard let instructions else { return processor.run(retiredLimit: processor.state.retired + 100_000) }
    return processor.run(retiredLimit: processor.state.retired + instructions)
  }

  /// The exception delivered last, if any was.
  public var lastException: GuestException? {
    for (event, _) in processor.recentlyDelivered.reversed() {
      if case .exception(let exception) = event { return exception }
    }
    return nil
  }

  /// The words of the frame on top of the stack in use, RIP or an error code first. The stack must be mapped where it
  /// is.
  public func stackWords(_ count: UInt64) -> [UInt64] {
    (0..<count).map { guest.word(atPhysical: self[Slot.rsp] + $0 * 8) }
  }
}
