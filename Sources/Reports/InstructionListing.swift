import Machine

/// `Docs/Instructions.md`, made from the machine's table of families.
public enum InstructionListing {
  public static var markdown: String {
    var lines = [
      "# Instructions", "",
      "What Penumbra executes, by family. Made from `InstructionFamily.all` by `make instructions`; a test compares.",
      "",
      "Features are CPUID's, shown or hidden by the profile and by `--cpu-features`. The instructions of a hidden one raise",
      "#UD, but for those of the first 64-bit processors (cmov, tsc, msr, de), which are always there, and for what",
      "has another meaning or none without its feature (TZCNT, LZCNT, the hints).",
      "What is in no family either raises #UD, because no modelled processor has it (VMX, SVM, SGX, TSX, CET, MPX,",
      "3DNow!, AVX-512, user interrupts), or stops the run with a message that names it.", "",
      "| family | instructions | features | remarks | semantics |", "|---|---|---|---|---|",
    ]
    for family in InstructionFamily.all {
      let features = FeatureSet.known.filter { family.features.isSuperset(of: $0.feature) }.map(\.name)
      let path = "../Sources/Machine/" + (family.file.hasPrefix("../") ? "" : "Instructions/")
      let file = family.file.split(separator: "/").last.map(String.init) ?? family.file
      let place = path + family.file.trimmingPrefix("../") + ".swift"
      lines.append(
        "| \(family.name) | \(family.mnemonics) | \(features.joined(separator: ", ")) | \(family.note) | "
          + "[\(file)](\(place)) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
