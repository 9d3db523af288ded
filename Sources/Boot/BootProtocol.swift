/// How a guest's file wants to be loaded and entered.
public enum BootProtocol: String, Sendable, CaseIterable {
  /// Multiboot 0.6.96, for ELF32, low ELF64 and files with load addresses in the header.
  case multiboot = "Multiboot 1"
  /// Xen's x86/HVM direct boot ABI.
  case pvh = "PVH"
  /// A Linux bzImage, entered in 64-bit mode where it can be and in 32-bit mode else.
  case linux = "Linux boot protocol"
  /// Any other static ELF64 file, entered in 64-bit mode.
  case plainELF = "plain ELF64"

  /// Recognises a file by its content, in the order in which the cases stand.
  ///
  /// - Throws: `BootError` for a file of no kind, or for an ELF file that is broken before its kind is known.
  public static func recognise(_ image: [UInt8]) throws(BootError) -> BootProtocol {
    try Recognised(image).kind
  }
}

/// A file and what was read of it to recognise it.
enum Recognised {
  case multiboot(ByteReader, MultibootHeader)
  case pvh(ELF, entry: UInt64)
  case linux(ByteReader)
  case plainELF(ELF)

  init(_ image: [UInt8]) throws(BootError) {
    let reader = ByteReader(image)
    let part = Part("image")
    guard !image.isEmpty else { throw part.error("the file is empty") }
    let multiboot = try MultibootHeader.find(reader)
    if case .found(let header) = multiboot {
      self = .multiboot(reader, header)
    } else if ELF.isELF(reader) {
      let elf = try ELF(reader)
      if let entry = try PVH.entry(of: elf) {
        self = .pvh(elf, entry: entry)
      } else if elf.isWide {
        self = .plainELF(elf)
      } else if case .wrongChecksum(let offset) = multiboot {
        throw BootError("Multiboot header", .offset(offset), "magic, flags and checksum do not add up to 0")
      } else {
        throw part.error("an ELF32 file needs a Multiboot header in its first 8 KiB or a PVH note")
      }
    } else if LinuxBoot.isLinux(reader) {
      self = .linux(reader)
    } else if case .wrongChecksum(let offset) = multiboot {
      throw BootError("Multiboot header", .offset(offset), "magic, flags and checksum do not add up to 0")
    } else {
      throw part.error("neither ELF, nor a Linux bzImage, nor a file with a Multiboot header")
    }
  }

  var kind: BootProtocol {
    switch self {
    case .multiboot: .multiboot
    case .pvh: .pvh
    case .linux: .linux
    case .plainELF: .plainELF
    }
  }
}
