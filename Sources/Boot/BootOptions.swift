import Machine

/// What a user says about a boot, beside the guest's file.
public struct BootOptions: Sendable {
  /// The longest command line, in bytes without the NUL. Linux takes what its own header says, 2047 as a rule.
  public static let longestCommandLine = 16384

  /// The guest's memory in bytes; see `MemoryMap` for what is accepted.
  public var memorySize: UInt64
  /// The text of `--append`. It must not contain a NUL.
  public var commandLine: String
  /// The name of the guest's file, which starts a Multiboot command line.
  public var name: String
  /// The initial RAM disk, or nil for none.
  public var initrd: [UInt8]?
  /// The name of the RAM disk's file, which a Multiboot module carries as its string.
  public var initrdName: String
  /// The number of processors, 1 or more; told to a plain ELF guest, discovered by all others.
  public var processors: Int
  /// Whether firmware has left ACPI tables (`ACPITables`).
  public var hasACPI: Bool
  /// Seconds since midnight when the guest is entered, for the time of day that firmware counts.
  public var secondOfDay: Int

  public init(
    memorySize: UInt64, commandLine: String = "", name: String = "guest", initrd: [UInt8]? = nil,
    initrdName: String = "initrd", processors: Int = 1, hasACPI: Bool = true, secondOfDay: Int = 0
  ) {
    self.memorySize = memorySize
    self.commandLine = commandLine
    self.name = name
    self.initrd = initrd
    self.initrdName = initrdName
    self.processors = processors
    self.hasACPI = hasACPI
    self.secondOfDay = secondOfDay
  }

  /// Where the ACPI root pointer stands.
  var rsdp: GuestPhysical? { hasACPI ? ACPITables.root : nil }

  /// Refuses what no protocol could pass on.
  func check() throws(BootError) {
    for (what, text) in [("command line", commandLine), ("guest name", name), ("initrd name", initrdName)] {
      let length = text.utf8.count
      guard length <= Self.longestCommandLine else {
        throw BootError(what, nil, "\(length) bytes are more than \(Self.longestCommandLine)")
      }
      guard !text.utf8.contains(0) else {
        throw BootError(what, nil, "it contains a NUL, which would end it for the guest")
      }
    }
    if let initrd, initrd.isEmpty { throw BootError("initrd", nil, "the file is empty") }
    guard 1...Int(UInt16.max) ~= processors else {
      throw BootError("processors", nil, "\(processors) is not between 1 and \(UInt16.max)")
    }
  }
}

/// A string for the guest: its UTF-8 bytes and a NUL.
func terminated(_ text: String) -> ArraySlice<UInt8> { (Array(text.utf8) + [0])[...] }
