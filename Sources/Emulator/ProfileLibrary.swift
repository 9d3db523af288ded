import Machine

/// Where cost profiles come from: those built in, and YAML files of users.
public enum ProfileLibrary {
  /// The names of the built-in profiles, the default first.
  public static let names = builtIn.map(\.name)

  /// The profile that is used where none is named.
  public static let defaultName = names[0]

  private static let builtIn: [(name: String, bytes: [UInt8])] = [
    ("skylake", PackageResources.skylake_yaml),
    ("zen4", PackageResources.zen4_yaml),
    ("nehalem", PackageResources.nehalem_yaml),
    ("opteron-bh08", PackageResources.opteron_bh08_yaml),
    ("p4-hardware-vmm", PackageResources.p4_hardware_vmm_yaml),
    ("p4-software-vmm", PackageResources.p4_software_vmm_yaml),
    ("max", PackageResources.max_yaml),
  ]

  /// A profile by the name of a built-in one, or from a YAML file.
  /// - Throws: `SetupError` of kind `input`, naming file, line and key, for what is missing or unusable.
  public static func profile(_ nameOrPath: String) throws(SetupError) -> CostProfile {
    if let found = builtIn.first(where: { $0.name == nameOrPath }) {
      return try ProfileFile(found.bytes, name: found.name).profile()
    }
    let file: InputFile
    do {
      file = try InputFile.read(nameOrPath, what: "profile", limit: YAMLDocument.largestFile)
    } catch let error {
      // A bare word is more likely a misspelt name than a file.
      guard nameOrPath.contains(where: { $0 == "/" || $0 == "." }) else {
        throw .input(
          "profile", nameOrPath, "neither a file nor a built-in profile (\(names.joined(separator: ", ")))")
      }
      throw error
    }
    return try ProfileFile(file.bytes, name: nameOrPath).profile()
  }

  /// Every built-in profile, the default first.
  public static func all() throws(SetupError) -> [CostProfile] {
    var profiles: [CostProfile] = []
    for name in names { profiles.append(try profile(name)) }
    return profiles
  }
}
