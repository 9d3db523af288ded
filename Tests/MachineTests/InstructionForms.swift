import Machine
import Support
import Testing

/// One instruction form and how to make bytes and operands for it: registers, immediates and memory operands are drawn
/// anew each time.
struct InstructionForm: CustomTestStringConvertible, Sendable {
  var name: String
  /// For `UndefinedFlags`; where the count of a shift is in CL or an immediate it is known by then.
  var mnemonic: String
  var width = 4
  var size = CodeSize.bits64
  /// What the host's processor must have.
  var needs: CPUIDBit?
  var encode: @Sendable (inout FormWriter) -> Void
  var testDescription: String { "\(name) in \(size)" }
}

/// A feature of the host's processor: a leaf of CPUID, the register (EBX is 1, EDX 3), and the bit.
struct CPUIDBit: Sendable {
  var leaf: UInt32
  var register: Int
  var bit: UInt32
}

/// The bytes of one instruction in the making, and what its operands want to be.
struct FormWriter {
  var random: RepeatableRandom
  let size: CodeSize
  var code: [UInt8] = []
  /// Values that registers must have, over random ones.
  var fixed: [UInt8: UInt64] = [:]
  /// A shift's count, an immediate or CL.
  var count: UInt64 = 1

  init(random: RepeatableRandom, size: CodeSize) {
    self.random = random
    self.size = size
  }

  var is64: Bool { size == .bits64 }

  /// The register that points into the data, in every memory form.
  static let pointer = Slot.rdi

  mutating func register() -> UInt8 { UInt8(random.next() % (is64 ? 16 : 8)) }

  /// A number with a bias to the corners.
  mutating func number() -> UInt64 {
    let value = random.next()
    switch value % 8 {
    case 0: return random.next() & 0xff
    case 1: return 0 &- (random.next() & 0xff)
    case 2: return 1 << (random.next() & 63)
    case 3: return [0, 1, .max, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, 1 << 63][Int(value >> 8) % 10]
    case 4: return random.next() & random.next() & random.next()
    default: return random.next()
    }
  }

  /// Appends an instruction with a ModRM byte.
  /// - Parameters:
  ///   - prefix: a mandatory one, before REX.
  ///   - map: the escape bytes before the opcode.
  ///   - reg: the opcode's extension; nil for a random register.
  ///   - size: 1, 2, 4 or 8 bytes; 66 and REX.W follow from it.
  mutating func modRM(
    prefix: [UInt8] = [], map: [UInt8] = [], _ opcode: UInt8, width: Int, reg: UInt8? = nil, memory: Bool,
    immediate: [UInt8] = []
  ) {
    let reg = reg ?? register()
    let rm = memory ? Self.pointer : register()
    var rex = (width == 8 ? 8 : 0) | (reg >> 3) << 2 | rm >> 3
    if rex != 0 || is64 && random.next() & 3 == 0 { rex |= 0x40 }
    if width == 2 { code.append(0x66) }
    code += prefix
    if rex != 0 { code.append(rex) }
    code += map + [opcode]
    append(reg: reg, rm: rm, memory: memory)
    code += immediate
  }

  /// Appends a VEX-encoded one.
  mutating func vex(
    map: UInt8, _ opcode: UInt8, prefix: UInt8, width: Int, reg: UInt8? = nil, hasThird: Bool = true, memory: Bool,
    immediate: [UInt8] = []
  ) {
    let reg = reg ?? register()
    let rm = memory ? Self.pointer : register()
    let third = hasThird ? register() : 0
    let extensions = (reg >> 3) << 7 | (rm >> 3) << 5
    code += [0xc4, ~extensions & 0xe0 | map, (width == 8 ? 0x80 : 0) | (~third & 0xf) << 3 | prefix, opcode]
    append(reg: reg, rm: rm, memory: memory)
    code += immediate
  }

  private mutating func append(reg: UInt8, rm: UInt8, memory: Bool) {
    let middle = (reg & 7) << 3
    guard memory else { return code.append(0xc0 | middle | rm & 7) }
    switch random.next() % 3 {
    case 0: code.append(middle | rm & 7)
    case 1: code += [0x40 | middle | rm & 7, UInt8(random.next() & 0x1f)]
    // Through a SIB byte without an index.
    default: code += [0x44 | middle, 0x20 | rm & 7, 0xf8]
    }
  }

  mutating func immediate(_ width: Int) -> [UInt8] {
    let value = number()
    return (0..<width).map { UInt8(truncatingIfNeeded: value >> (8 * UInt64($0))) }
  }
}

extension InstructionForm {
  private static let bmi1 = CPUIDBit(leaf: 7, register: 1, bit: 3)
  private static let bmi2 = CPUIDBit(leaf: 7, register: 1, bit: 8)
  private static let adx = CPUIDBit(leaf: 7, register: 1, bit: 19)
  private static let movbe = CPUIDBit(leaf: 1, register: 2, bit: 22)
  private static let sse42 = CPUIDBit(leaf: 1, register: 2, bit: 20)
  private static let popcnt = CPUIDBit(leaf: 1, register: 2, bit: 23)
  private static let abm = CPUIDBit(leaf: 0x8000_0001, register: 2, bit: 5)

  /// Forms of both register and memory, in both sizes of code, with operands of each width.
  private static func family(
    _ mnemonic: String, widths: [Int], needs: CPUIDBit? = nil,
    memory: [Bool] = [false, true], sizes: [CodeSize] = [.bits64, .bits32],
    _ encode: @escaping @Sendable (inout FormWriter, _ width: Int, _ memory: Bool) -> Void
  ) -> [InstructionForm] {
    sizes.flatMap { size in
      widths.filter { size == .bits64 || $0 < 8 }.flatMap { width in
        memory.map { isMemory in
          InstructionForm(
            name: "\(mnemonic) of \(8 * width) bits, \(isMemory ? "memory" : "registers")", mnemonic: mnemonic,
            width: width, size: size, needs: needs
          ) { encode(&$0, width, isMemory) }
        }
      }
    }
  }

  /// Rows of a name and a number in its encoding.
  private static func each(
    _ rows: KeyValuePairs<String, UInt8>, _ body: (_ name: String, _ number: UInt8) -> [InstructionForm]
  ) -> [InstructionForm] {
    rows.flatMap { body($0.key, $0.value) }
  }

  private static func together(_ families: [InstructionForm]...) -> [InstructionForm] { families.flatMap { $0 } }

  private static func vexFamily(
    _ mnemonic: String, map: UInt8 = 2, _ opcode: UInt8, prefix: UInt8, reg: UInt8? = nil,
    needs: CPUIDBit
  ) -> [InstructionForm] {
    family(mnemonic, widths: [4, 8], needs: needs) { form, width, memory in
      form.vex(
        map: map, opcode, prefix: prefix, width: width, reg: reg, hasThird: map == 2, memory: memory,
        immediate: map == 3 ? form.immediate(1) : [])
    }
  }

  static let bitManipulation = together(
    vexFamily("andn", 0xf2, prefix: 0, needs: bmi1) + vexFamily("bextr", 0xf7, prefix: 0, needs: bmi1),
    vexFamily("blsr", 0xf3, prefix: 0, reg: 1, needs: bmi1),
    vexFamily("blsmsk", 0xf3, prefix: 0, reg: 2, needs: bmi1),
    vexFamily("blsi", 0xf3, prefix: 0, reg: 3, needs: bmi1) + vexFamily("bzhi", 0xf5, prefix: 0, needs: bmi2),
    vexFamily("pext", 0xf5, prefix: 2, needs: bmi2) + vexFamily("pdep", 0xf5, prefix: 3, needs: bmi2),
    vexFamily("mulx", 0xf6, prefix: 3, needs: bmi2) + vexFamily("shlx", 0xf7, prefix: 1, needs: bmi2),
    vexFamily("sarx", 0xf7, prefix: 2, needs: bmi2) + vexFamily("shrx", 0xf7, prefix: 3, needs: bmi2),
    vexFamily("rorx", map: 3, 0xf0, prefix: 3, needs: bmi2))

  private static func bitCount(_ mnemonic: String, _ opcode: UInt8, needs: CPUIDBit) -> [InstructionForm] {
    family(mnemonic, widths: [2, 4, 8], needs: needs) { form, width, memory in
      form.modRM(prefix: [0xf3], map: [0x0f], opcode, width: width, memory: memory)
    }
  }

  static let bitCounts = together(
    bitCount("popcnt", 0xb8, needs: popcnt), bitCount("tzcnt", 0xbc, needs: bmi1), bitCount("lzcnt", 0xbd, needs: abm))

  static let extensions = together(
    family("adcx", widths: [4, 8], needs: adx) { form, width, memory in
      form.modRM(prefix: [0x66], map: [0x0f, 0x38], 0xf6, width: width, memory: memory)
    },
    family("adox", widths: [4, 8], needs: adx) { form, width, memory in
      form.modRM(prefix: [0xf3], map: [0x0f, 0x38], 0xf6, width: width, memory: memory)
    },
    family("movbe", widths: [2, 4, 8], needs: movbe, memory: [true]) { form, width, memory in
      form.modRM(map: [0x0f, 0x38], form.random.next() & 1 == 0 ? 0xf0 : 0xf1, width: width, memory: memory)
    },
    family("crc32", widths: [2, 4, 8], needs: sse42) { form, width, memory in
      form.modRM(prefix: [0xf2], map: [0x0f, 0x38], 0xf1, width: width, memory: memory)
    },
    family("crc32 of a byte", widths: [4, 8], needs: sse42) { form, width, memory in
      form.modRM(prefix: [0xf2], map: [0x0f, 0x38], 0xf0, width: width, memory: memory)
    })

  /// What 64-bit code has not.
  static let legacy = together(
    each(["aaa": 0x37, "aas": 0x3f, "daa": 0x27, "das": 0x2f, "salc": 0xd6]) { name, number in
      [InstructionForm(name: name, mnemonic: name, width: 1, size: .bits32) { form in form.code = [number] }]
    },
    each(["aam": 0xd4, "aad": 0xd5]) { name, number in
      [
        InstructionForm(name: name, mnemonic: name, width: 1, size: .bits32) { form in
          form.code = [number, form.random.next() & 1 == 0 ? 10 : UInt8(1 + form.random.next() % 255)]
        }
      ]
    },
    family("arpl", widths: [4], sizes: [.bits32]) { form, width, memory in
      form.modRM(0x63, width: width, memory: memory)
    },
    family("bound", widths: [2, 4], memory: [true], sizes: [.bits32]) { form, width, _ in
      // The bounds in memory are the least and the greatest number, put there by `HostComparisonTests`.
      let modRM = UInt8(form.random.next() & 3) << 3 | 0x47
      form.code = (width == 2 ? [0x66] : []) + [0x62, modRM, width == 2 ? 0x60 : 0x70]
    })

  // MARK: The rest of the integer set

  static let arithmetic = together(
    each(["add": 0, "or": 1, "adc": 2, "sbb": 3, "and": 4, "sub": 5, "xor": 6, "cmp": 7]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        let byte: UInt8 = width == 1 ? 0 : 1
        switch form.random.next() % 4 {
        case 0: form.modRM(number << 3 | byte, width: width, memory: memory)
        case 1: form.modRM(number << 3 | 2 | byte, width: width, memory: memory)
        case 2:
          form.modRM(
            0x80 | byte, width: width, reg: number, memory: memory, immediate: form.immediate(min(width, 4)))
        default:
          form.modRM(
            width == 1 ? 0x80 : 0x83, width: width, reg: number, memory: memory, immediate: form.immediate(1))
        }
      }
    },
    each(["not": 2, "neg": 3]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        form.modRM(width == 1 ? 0xf6 : 0xf7, width: width, reg: number, memory: memory)
      }
    },
    each(["inc": 0, "dec": 1]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        form.modRM(width == 1 ? 0xfe : 0xff, width: width, reg: number, memory: memory)
      }
    },
    family("test", widths: [1, 2, 4, 8]) { form, width, memory in
      if form.random.next() & 1 == 0 {
        form.modRM(width == 1 ? 0x84 : 0x85, width: width, memory: memory)
      } else {
        form.modRM(
          width == 1 ? 0xf6 : 0xf7, width: width, reg: 0, memory: memory, immediate: form.immediate(min(width, 4)))
      }
    },
    each(["xadd": 0xc0, "cmpxchg": 0xb0]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        form.modRM(map: [0x0f], number | (width == 1 ? 0 : 1), width: width, memory: memory)
      }
    },
    each(["cmpxchg8b": 4, "cmpxchg16b": 8]) { name, number in
      family(name, widths: [Int(number)], memory: [true]) { form, width, _ in
        form.fixed[FormWriter.pointer] = HostPlace.data
        var displacement = UInt8(form.random.next() & 3) << 4
        if form.random.next() & 1 == 0 {
          // What `HostComparisonTests` puts there: they are equal.
          displacement = 0x70
          form.fixed[Slot.rax] = width == 8 ? 0x7fff_ffff_8000_0000 : 0x8000_0000
          form.fixed[Slot.rdx] = width == 8 ? 0 : 0x7fff_ffff
        }
        form.code = (width == 8 ? [0x48] : []) + [0x0f, 0xc7, 0x4f, displacement]
      }
    })

  static let multiplication = together(
    each(["mul": 4, "imul": 5]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        form.modRM(width == 1 ? 0xf6 : 0xf7, width: width, reg: number, memory: memory)
      }
    },
    family("imul", widths: [2, 4, 8]) { form, width, memory in
      switch form.random.next() % 3 {
      case 0: form.modRM(map: [0x0f], 0xaf, width: width, memory: memory)
      case 1: form.modRM(0x6b, width: width, memory: memory, immediate: form.immediate(1))
      default: form.modRM(0x69, width: width, memory: memory, immediate: form.immediate(min(width, 4)))
      }
    },
    each(["div": 6, "idiv": 7]) { name, number in
      family(name, widths: [1, 2, 4, 8], memory: [false]) { form, width, _ in
        // A quotient that fits: the upper half is 0 and the divisor 2 or more.
        let divisor = form.number() | 2
        form.fixed[Slot.rbx] = name == "div" ? divisor : divisor & 0x7f | 2
        form.fixed[Slot.rdx] = 0
        form.fixed[Slot.rax] = form.number() & (width == 1 ? 0x7f : 0x7fff_ffff)
        form.code = (width == 2 ? [0x66] : width == 8 ? [0x48] : []) + [width == 1 ? 0xf6 : 0xf7, 0xc3 | number << 3]
      }
    })

  static let shifts = together(
    each(["rol": 0, "ror": 1, "rcl": 2, "rcr": 3, "shl": 4, "shr": 5, "shl": 6, "sar": 7]) { name, number in
      family(name, widths: [1, 2, 4, 8]) { form, width, memory in
        let byte: UInt8 = width == 1 ? 0 : 1
        switch form.random.next() % 3 {
        case 0: form.modRM(0xd0 | byte, width: width, reg: number, memory: memory)
        case 1:
          form.count = form.random.next() & 0xff
          form.modRM(
            0xc0 | byte, width: width, reg: number, memory: memory,
            immediate: [UInt8(truncatingIfNeeded: form.count)])
        default:
          form.count = form.random.next() & 0xff
          form.fixed[Slot.rcx] = form.random.next() & ~0xff | form.count
          form.modRM(0xd2 | byte, width: width, reg: number, memory: memory)
        }
      }
    },
    each(["shld": 0xa4, "shrd": 0xac]) { name, number in
      family(name, widths: [2, 4, 8]) { form, width, memory in
        // Of 16 bits the result, too, is undefined beyond 16.
        form.count = form.random.next() & (width == 2 ? 0xf : 0xff)
        if form.random.next() & 1 == 0 {
          form.modRM(
            map: [0x0f], number, width: width, memory: memory, immediate: [UInt8(truncatingIfNeeded: form.count)])
        } else {
          form.fixed[Slot.rcx] = form.random.next() & ~0xff | form.count
          form.modRM(map: [0x0f], number | 1, width: width, memory: memory)
        }
      }
    })

  static let bits = together(
    each(["bt": 4, "bts": 5, "btr": 6, "btc": 7]) { name, number in
      family(name, widths: [2, 4, 8]) { form, width, memory in
        form.modRM(
          map: [0x0f], 0xba, width: width, reg: number, memory: memory,
          immediate: [UInt8(truncatingIfNeeded: form.random.next())])
      }
        + family(name, widths: [2, 4, 8]) { form, width, memory in
          // A bit number in RBX that stays within the page of data where the operand is memory.
          if memory { form.fixed[Slot.rbx] = form.random.next() & 0xff }
          form.modRM(
            map: [0x0f], 0x83 | number << 3, width: width, reg: memory ? Slot.rbx : nil, memory: memory)
        }
    },
    each(["bsf": 0xbc, "bsr": 0xbd]) { name, number in
      family(name, widths: [2, 4, 8]) { form, width, memory in
        form.modRM(map: [0x0f], number, width: width, memory: memory)
      }
    },
    family("bswap", widths: [4, 8], memory: [false]) { form, width, _ in
      let register = form.register()
      let rex = (width == 8 ? 8 : 0) | register >> 3
      form.code = (rex == 0 ? [] : [0x40 | rex]) + [0x0f, 0xc8 | register & 7]
    })

  static let moves = together(
    each(["movzx": 0xb6, "movsx": 0xbe]) { name, number in
      family(name, widths: [2, 4, 8]) { form, width, memory in
        form.modRM(map: [0x0f], number | UInt8(form.random.next() & 1), width: width, memory: memory)
      }
    },
    family("cmovcc", widths: [2, 4, 8]) { form, width, memory in
      form.modRM(map: [0x0f], 0x40 | UInt8(form.random.next() & 0xf), width: width, memory: memory)
    },
    family("setcc", widths: [1]) { form, width, memory in
      form.modRM(map: [0x0f], 0x90 | UInt8(form.random.next() & 0xf), width: width, reg: 0, memory: memory)
    },
    family("xchg", widths: [1, 2, 4, 8]) { form, width, memory in
      form.modRM(width == 1 ? 0x86 : 0x87, width: width, memory: memory)
    },
    family("mov", widths: [1, 2, 4, 8]) { form, width, memory in
      form.modRM(
        (width == 1 ? 0x88 : 0x89) | UInt8(form.random.next() & 1) << 1, width: width, memory: memory)
    },
    family("cbw, cwd and their kin", widths: [2, 4, 8], memory: [false]) { form, width, _ in
      form.code =
        (width == 2 ? [0x66] : width == 8 ? [0x48] : []) + [form.random.next() & 1 == 0 ? 0x98 : 0x99]
    },
    family("lahf, sahf, cmc, clc, stc, cld, std", widths: [4], memory: [false]) { form, _, _ in
      form.code = [[0x9f, 0x9e, 0xf5, 0xf8, 0xf9, 0xfc, 0xfd][Int(form.random.next() % 7)]]
    },
    family("xlat", widths: [1], memory: [true]) { form, _, _ in
      form.fixed[Slot.rbx] = HostPlace.data
      form.code = [0xd7]
    },
    family("movnti", widths: [4, 8], memory: [true]) { form, width, memory in
      form.modRM(map: [0x0f], 0xc3, width: width, memory: memory)
    })

  static let stack = together(
    family("enter", widths: [2, 4, 8], memory: [true]) { form, width, _ in
      // In 64-bit code there are 16 and 64 bits, in 32-bit code 16 and 32.
      form.fixed[Slot.rsp] = HostPlace.data + 0x700
      form.fixed[Slot.rbp] = HostPlace.data + 0x600
      form.code =
        (width == 2 ? [0x66] : []) + [0xc8, UInt8(form.random.next() & 0xff), 0, UInt8(form.random.next() & 0xff)]
    },
    family("leave", widths: [2, 4], memory: [true]) { form, width, _ in
      form.fixed[Slot.rbp] = HostPlace.data + form.random.next() & 0xff
      form.code = (width == 2 ? [0x66] : []) + [0xc9]
    },
    family("push, pop", widths: [2, 4], memory: [false]) { form, width, _ in
      form.fixed[Slot.rsp] = HostPlace.data + 0x100
      form.code = (width == 2 ? [0x66] : []) + [0x50 + UInt8(form.random.next() & 0xf)]
    })

  /// Everything, by family.
  static let all =
    bitManipulation + bitCounts + extensions + legacy + arithmetic + multiplication + shifts + bits + moves + stack
}

/// Where the operands of comparisons are.
enum HostPlace {
  static let code: UInt64 = 0x3000_2000
  static let data: UInt64 = 0x3000_3000
}
