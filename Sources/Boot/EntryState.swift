import Machine

/// A segment register with its hidden part.
public struct SegmentState: Equatable, Sendable {
  public var selector: UInt16
  public var base: UInt64
  /// In bytes, as it is checked: a granularity of 4 KiB has been worked in.
  public var limit: UInt32
  /// The access rights as a VMCS encodes them (SDM vol. 3, 24.4.1): bits 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L,
  /// 14 D/B, 15 G, 16 unusable.
  public var attributes: UInt32

  public init(selector: UInt16, base: UInt64 = 0, limit: UInt32, attributes: UInt32) {
    self.selector = selector
    self.base = base
    self.limit = limit
    self.attributes = attributes
  }

  /// Flat 32-bit code: execute/read, accessed, 4 GiB.
  static func code32(_ selector: UInt16) -> Self { Self(selector: selector, limit: .max, attributes: 0xc09b) }
  /// 64-bit code: execute/read, accessed.
  static func code64(_ selector: UInt16) -> Self { Self(selector: selector, limit: .max, attributes: 0xa09b) }
  /// Flat data: read/write, accessed, 4 GiB.
  static func data(_ selector: UInt16) -> Self { Self(selector: selector, limit: .max, attributes: 0xc093) }
  /// A busy TSS at address 0, as PVH prescribes; nothing uses it before the guest has loaded its own.
  static func task(_ selector: UInt16) -> Self { Self(selector: selector, limit: 0x67, attributes: 0x8b) }
  /// No segment: any use faults.
  static let unusable = Self(selector: 0, limit: 0, attributes: 0x10000)

  /// The descriptor that loads this state (SDM vol. 3, 3.4.5).
  var descriptor: UInt64 {
    let rights = UInt64(attributes) & 0xf0ff
    let limit = UInt64(rights & 0x8000 == 0 ? self.limit : self.limit >> 12)
    let low = limit & 0xffff | (base & 0xff_ffff) << 16 | rights << 40
    return low | (limit & 0xf_0000) << 32 | (base & 0xff00_0000) << 32
  }
}

/// GDTR or IDTR.
public struct DescriptorTable: Equatable, Sendable {
  public var base: UInt64
  /// The offset of the last byte; 0 for a table that holds nothing.
  public var limit: UInt16

  public init(base: UInt64, limit: UInt16) {
    self.base = base
    self.limit = limit
  }
}

/// The bootstrap processor's registers at the guest's first instruction. What is not named here is as after reset.
public struct EntryState: Equatable, Sendable {
  public enum Mode: Sendable {
    /// 32-bit protected mode, paging off, flat segments.
    case protected32
    /// 64-bit mode on identity-mapped tables, flat segments.
    case long64
  }

  public var mode: Mode
  public var rip: UInt64
  public var rax: UInt64 = 0
  public var rbx: UInt64 = 0
  public var rcx: UInt64 = 0
  public var rdx: UInt64 = 0
  public var rsi: UInt64 = 0
  public var rdi: UInt64 = 0
  public var rbp: UInt64 = 0
  /// 0 where the protocol promises no stack.
  public var rsp: UInt64 = 0
  /// Bit 1 is always set; IF, TF, VM and all else are clear.
  public var rflags: UInt64 = 2
  public var cr0: UInt64
  public var cr3: UInt64 = 0
  public var cr4: UInt64 = 0
  public var efer: UInt64 = 0
  public var cs: SegmentState
  /// DS, ES, FS, GS and SS.
  public var data: SegmentState
  public var tr: SegmentState
  public var ldtr = SegmentState.unusable
  /// The table that the selectors above come from; it stands in one of the plan's segments.
  public var gdt: DescriptorTable
  /// Empty: an exception before the guest has loaded its own table shuts the processor down.
  public var idt = DescriptorTable(base: 0, limit: 0)

  /// 32-bit protected mode at an entry point, with a descriptor table placed in the layout: code at selector 0x08, data
  /// at 0x10 (QEMU's Multiboot loader uses the same).
  ///
  /// CR0 has PE, and ET, which is fixed to 1.
  static func protected32(at entry: UInt64, in layout: inout Layout) throws(BootError) -> EntryState {
    try make(.protected32, entry, code: .code32(0x08), data: .data(0x10), &layout)
  }

  /// 32-bit protected mode with the selectors that Linux demands: code at 0x10, data at 0x18.
  static func linux32(at entry: UInt64, in layout: inout Layout) throws(BootError) -> EntryState {
    try make(.protected32, entry, code: .code32(0x10), data: .data(0x18), &layout)
  }

  /// 64-bit mode at an entry point, low 4 GiB identity-mapped; code at selector 0x10, data at 0x18, as Linux demands.
  static func long64(at entry: UInt64, in layout: inout Layout) throws(BootError) -> EntryState {
    var state = try make(.long64, entry, code: .code64(0x10), data: .data(0x18), &layout)
    state.cr0 |= 1 << 31
    state.cr3 = try layout.placeIdentityTables().rawValue
    state.cr4 = ControlBits.pae
    state.efer = ControlBits.longModeEnabled | ControlBits.longModeActive
    return state
  }

  private static func make(
    _ mode: Mode, _ entry: UInt64, code: SegmentState, data: SegmentState, _ layout: inout Layout
  ) throws(BootError) -> EntryState {
    let task = SegmentState.task(0x20)
    // The upper half of a 64-bit TSS descriptor is zero here, as its base is.
    var table = ByteWriter(count: 0x30)
    for segment in [code, data, task] { table.put(segment.descriptor, at: Int(segment.selector)) }
    let base = try layout.place("descriptor table", table.bytes[...])
    return EntryState(
      mode: mode, rip: entry, cr0: ControlBits.protection | ControlBits.extensionType, cs: code, data: data, tr: task,
      gdt: DescriptorTable(base: base.rawValue, limit: UInt16(table.bytes.count - 1)))
  }
}

/// The bits of control registers that a boot protocol sets (SDM vol. 3, 2.5 and 2.2.1).
enum ControlBits {
  static let protection: UInt64 = 1 << 0
  static let monitorCoprocessor: UInt64 = 1 << 1
  static let extensionType: UInt64 = 1 << 4
  static let numericError: UInt64 = 1 << 5
  static let writeProtect: UInt64 = 1 << 16
  static let pae: UInt64 = 1 << 5
  static let fxsave: UInt64 = 1 << 9
  static let simdExceptions: UInt64 = 1 << 10
  static let longModeEnabled: UInt64 = 1 << 8
  static let longModeActive: UInt64 = 1 << 10
}

extension Layout {
  /// Places tables that map the low 4 GiB onto themselves with 2 MiB pages, writable, supervisor: one PML4, one page
  /// of PDPTEs and four of PDEs. Returns the PML4's address.
  mutating func placeIdentityTables() throws(BootError) -> GuestPhysical {
    let presentWritable: UInt64 = 0b11
    let pageSize: UInt64 = 1 << 7
    // The entries hold addresses, so the place must be known before the contents are.
    let base = try place("page tables", [], size: 6 * 4096, alignment: 4096)
    var tables = ByteWriter(count: 6 * 4096)
    tables.put((base.rawValue + 4096) | presentWritable, at: 0)
    for directory in 0..<4 {
      tables.put((base.rawValue + UInt64(directory + 2) * 4096) | presentWritable, at: 4096 + directory * 8)
    }
    for page in 0..<2048 {
      tables.put(UInt64(page) << 21 | pageSize | presentWritable, at: 2 * 4096 + page * 8)
    }
    fill(base, tables.bytes[...])
    return base
  }
}
