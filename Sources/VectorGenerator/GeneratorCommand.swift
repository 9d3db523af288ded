#if os(Linux) && arch(x86_64)
  import Emulator
  import Foundation
  import Vectors

  /// The command line: `FOLDER COUNT SEED [FORM]`. The work is done by a child process, because what is executed there
  /// may do anything to it.
  struct GeneratorCommand {
    private let arguments: [String]
    private static let child = "--child"

    init(_ arguments: [String]) { self.arguments = arguments }

    /// - Returns: the exit status.
    func run() -> Int32 {
      if arguments.first == Self.child { return work(Array(arguments.dropFirst())) }
      guard (3...4).contains(arguments.count), Int(arguments[1]) ?? 0 > 0, UInt64(arguments[2]) != nil else {
        print("usage: vector-generator FOLDER COUNT SEED [FORM]")
        return 64
      }
      let process = Process()
      process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0])
      process.arguments = [Self.child] + arguments
      do {
        try process.run()
      } catch {
        print("vector-generator: \(error.localizedDescription)")
        return 70
      }
      process.waitUntilExit()
      guard process.terminationReason == .exit else {
        print("vector-generator: the child died of signal \(process.terminationStatus)")
        return 70
      }
      return process.terminationStatus
    }

    // MARK: The child

    private func work(_ arguments: [String]) -> Int32 {
      guard let vendor = HostVendor.current, let host = HostExecutor() else {
        print("vector-generator: this host's processor or its memory cannot be used")
        return 70
      }
      let folder = arguments[0]
      let count = Int(arguments[1]) ?? 1
      let seed = UInt64(arguments[2]) ?? 0
      let only = arguments.count > 3 ? arguments[3] : nil
      let maker = VectorMaker(host, vendor: vendor)
      do {
        for family in VectorFamily.allCases {
          let missing = HostVendor.missing(family.needs)
          guard missing.isEmpty else {
            let names = missing.joined(separator: ", ")
            print("\(family.rawValue): left out, because this host's processor lacks \(names)")
            continue
          }
          let forms = OpcodeForms.all.filter { VectorFamily(of: $0) == family }
          try write(family.rawValue, forms, only: only, to: folder) { maker.vectors(of: $0, count: count, seed: seed) }
        }
        guard HostExecutor.installSegments() else {
          print("segmented: left out, because this host's kernel lets programs have no segments of their own")
          return 0
        }
        try write("segmented", SegmentedForm.all, only: only, to: folder) {
          maker.vectors(of: $0, count: count, seed: seed)
        }
      } catch let error {
        print("vector-generator: \(error.description)")
        return error.exitStatus
      }
      return 0
    }

    private func write<Form: CustomStringConvertible>(
      _ family: String, _ all: [Form], only: String?, to folder: String, vectors: (Form) -> [InstructionVector]
    ) throws(SetupError) {
      let writer = try VectorWriter("\(folder)/\(family).json.gz")
      var forms = 0
      var undefined = 0
      var faults = 0
      var total = 0
      for form in all {
        if let only, !form.description.contains(only) { continue }
        let made = vectors(form)
        let isUndefined = made.allSatisfy { $0.exception?.vector == 6 }
        forms += isUndefined ? 0 : 1
        undefined += isUndefined ? 1 : 0
        faults += made.count { $0.exception != nil }
        total += made.count
        for vector in made { try writer.write(vector) }
      }
      try writer.finish()
      print(
        "\(family): \(forms) forms, \(total) vectors, \(faults) of them fault; \(undefined) undefined forms")
    }
  }

  /// How vectors are divided into files.
  enum VectorFamily: String, CaseIterable {
    case integer, extensions, sse, mmx, x87, avx, ciphers

    init(of form: OpcodeForm) {
      switch (form.map, form.opcode) {
      case (.vexSecondary, _): self = .avx
      case (.vex38, _), (.vex3A, _): self = form.unit == .general ? .extensions : .avx
      // SHA and AES; PCLMULQDQ, SHA1RNDS4 and AESKEYGENASSIST.
      case (.map38, 0xc8...0xdf), (.map3A, 0x44), (.map3A, 0xc0...0xdf): self = .ciphers
      default:
        switch form.unit {
        case .general: self = form.map == .map38 ? .extensions : .integer
        case .vector: self = .sse
        case .mmx: self = .mmx
        case .x87: self = .x87
        }
      }
    }

    /// The features of a processor that can make it, by the names in /proc/cpuinfo.
    var needs: [String] {
      switch self {
      case .integer: ["xsave", "cx16", "popcnt", "abm"]
      case .extensions: ["xsave", "movbe", "bmi1", "bmi2", "adx"]
      case .sse: ["xsave", "sse4_2", "ssse3"]
      case .mmx, .x87: ["xsave", "ssse3"]
      case .avx: ["avx2", "fma", "f16c", "aes", "pclmulqdq", "vaes", "vpclmulqdq"]
      case .ciphers: ["xsave", "aes", "pclmulqdq", "sha_ni"]
      }
    }
  }
#endif
