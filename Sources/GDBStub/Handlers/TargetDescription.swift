import Debugger

/// What gdb is told of the registers: `target.xml` (the manual of gdb, appendix G).
enum TargetDescription {
  static func xml(_ registers: [Register]) -> String {
    var text = """
      <?xml version="1.0"?>
      <!DOCTYPE target SYSTEM "gdb-target.dtd">
      <target version="1.0">
        <architecture>i386:x86-64</architecture>
        <osabi>none</osabi>

      """
    for feature in Register.Feature.allCases {
      let members = registers.enumerated().filter { $0.element.feature == feature }
      guard !members.isEmpty else { continue }
      text += "  <feature name=\"\(feature.rawValue)\">\n" + types(feature)
      for (number, register) in members {
        let group = register.group.map { " group=\"\($0)\"" } ?? ""
        text +=
          "    <reg name=\"\(register.name)\" bitsize=\"\(register.bits)\" type=\"\(register.type)\" "
          + "regnum=\"\(number)\"\(group)/>\n"
      }
      text += "  </feature>\n"
    }
    return text + "</target>\n"
  }

  private static func types(_ feature: Register.Feature) -> String {
    switch feature {
    case .core:
      let names = [
        "CF", "", "PF", "", "AF", "", "ZF", "SF", "TF", "IF", "DF", "OF", "", "", "NT", "", "RF", "VM", "AC", "VIF",
        "VIP", "ID",
      ]
      return flags("i386_eflags", size: 4, names.enumerated().filter { $1 != "" }.map { ($0, $1) })
    case .sse:
      let names = [
        "IE", "DE", "ZE", "OE", "UE", "PE", "DAZ", "IM", "DM", "ZM", "OM", "UM", "PM", "", "", "FZ",
      ]
      return vectors + flags("i386_mxcsr", size: 4, names.enumerated().filter { $1 != "" }.map { ($0, $1) })
    case .system:
      func bits(_ list: [(UInt64, String)]) -> [(Int, String)] { list.map { ($0.trailingZeroBitCount, $1) } }
      return flags("cr0_flags", size: 8, bits(ControlBits.cr0)) + flags("cr4_flags", size: 8, bits(ControlBits.cr4))
        + flags("efer_flags", size: 8, bits(ControlBits.efer))
    case .avx, .segments: return ""
    }
  }

  private static func flags(_ name: String, size: Int, _ fields: [(bit: Int, name: String)]) -> String {
    "    <flags id=\"\(name)\" size=\"\(size)\">\n"
      + fields.map { "      <field name=\"\($0.name)\" start=\"\($0.bit)\" end=\"\($0.bit)\"/>\n" }.joined()
      + "    </flags>\n"
  }

  /// The ways to look at an XMM register.
  private static let vectors: String = {
    let lanes = [
      ("v4f", "ieee_single", 4, "v4_float"), ("v2d", "ieee_double", 2, "v2_double"), ("v16i8", "int8", 16, "v16_int8"),
      ("v8i16", "int16", 8, "v8_int16"), ("v4i32", "int32", 4, "v4_int32"), ("v2i64", "int64", 2, "v2_int64"),
    ]
    return lanes.map { "    <vector id=\"\($0.0)\" type=\"\($0.1)\" count=\"\($0.2)\"/>\n" }.joined()
      + "    <union id=\"vec128\">\n"
      + lanes.map { "      <field name=\"\($0.3)\" type=\"\($0.0)\"/>\n" }.joined()
      + "      <field name=\"uint128\" type=\"uint128\"/>\n    </union>\n"
  }()

  /// Every linear address may be mapped; what is, the tables say.
  static let memoryMap = """
    <?xml version="1.0"?>
    <!DOCTYPE memory-map
      PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" "http://sourceware.org/gdb/gdb-memory-map.dtd">
    <memory-map>
      <memory type="ram" start="0x0" length="0x8000000000000000"/>
      <memory type="ram" start="0x8000000000000000" length="0x8000000000000000"/>
    </memory-map>

    """

  static func threads(_ texts: [String]) -> String {
    "<?xml version=\"1.0\"?>\n<threads>\n"
      + texts.enumerated().map { "  <thread id=\"\($0 + 1)\" core=\"\($0)\" name=\"cpu \($0)\">\($1)</thread>\n" }
      .joined()
      + "</threads>\n"
  }
}
