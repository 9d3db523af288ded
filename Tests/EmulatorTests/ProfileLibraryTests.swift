import Machine
import Testing

@testable import Emulator

@Suite struct ProfileLibraryTests {
  @Test("every built-in profile is complete and sound", arguments: ProfileLibrary.names)
  func builtInProfiles(name: String) throws {
    let profile = try ProfileLibrary.profile(name)
    #expect(profile.name == name)
    #expect(ProfileValidation.firstProblem(profile) == nil)
    for key in CostKey.allCases {
      #expect(profile.figures[key]?.source.isEmpty == false, "\(key.rawValue) has no source")
    }
  }

  @Test("the first profile listed is the default, skylake")
  func defaultProfile() { #expect(ProfileLibrary.defaultName == "skylake") }

  @Test("figures that FACTS has verified stand in the profiles as they were published")
  func publishedFigures() throws {
    let nehalem = try ProfileLibrary.profile("nehalem")
    #expect(nehalem.figures[.exitRoundTrip] == Figure(1009, source: "AG12, table 1", flag: .primary))
    let opteron = try ProfileLibrary.profile("opteron-bh08")
    #expect(opteron[.tlbData4KEntries] == 64 && opteron[.tlbData4KWays] == 64)
    #expect(opteron[.tlbL2Entries] == 512 && opteron[.tlbL2Ways] == 4)
    #expect(opteron[.tlbL2Large2MEntries] == 128 && opteron[.tlbL2Large2MWays] == 1)
    #expect(opteron[.nestedTLBEntries] == 16 && opteron[.nestedTLBHit] == 2 && opteron[.pscHit] == 2)
    #expect(opteron[.cacheL2Hit] == 11 && opteron[.cacheMemory] == 100)
    let structures: [CostKey] = [.pscPML4E, .pscPDPTE, .pscPDE, .pscNestedPDPTE, .pscNestedPDE]
    #expect(opteron[.walkCacheEntries] == 24 && structures.allSatisfy { opteron[$0] == 0 })
    #expect(try ProfileLibrary.profile("skylake")[.tlbL2Entries] == 1536)
    #expect(try ProfileLibrary.profile("zen4")[.tlbL2Entries] == 3072)
  }

  @Test("nehalem's whole exit service for a page-table write is about AG12's 3000 cycles")
  func wholeExitService() throws {
    let nehalem = try ProfileLibrary.profile("nehalem")
    let parts: [CostKey] = [.exitRoundTrip, .handlerBase, .shadowEmulate, .shadowLookup]
    let whole = parts.reduce(0) { $0 + nehalem[$1] }
    #expect(2850...3150 ~= whole, "\(whole)")
  }

  @Test(
    "a processor has the features of its time",
    arguments: [
      ("skylake", "pcid", true), ("skylake", "smap", true), ("skylake", "invpcid", true), ("zen4", "pcid", true),
      ("nehalem", "pcid", false), ("nehalem", "smep", false), ("nehalem", "pdpe1gb", false), ("nehalem", "nx", true),
      ("opteron-bh08", "pcid", false), ("opteron-bh08", "smap", false), ("opteron-bh08", "pdpe1gb", true),
    ])
  func features(profile: String, feature: String, present: Bool) throws {
    #expect(try ProfileLibrary.profile(profile).features.contains(feature) == present)
  }

  @Test("max has skylake's figures and shows every feature that there is")
  func everything() throws {
    let max = try ProfileLibrary.profile("max")
    #expect(max.figures == (try ProfileLibrary.profile("skylake")).figures)
    #expect(max.features == FeatureSet.known.map(\.name))
    #expect(FeatureSet.hidden(in: max.features).isEmpty)
    #expect(FeatureSet.known.allSatisfy { FeatureSet(names: max.features).contains($0.feature) })
  }

  @Test("a name that is neither a profile nor a file names the profiles that exist")
  func unknownName() throws {
    let error = #expect(throws: SetupError.self) { try ProfileLibrary.profile("skylak") }
    #expect(
      error?.description
        == "profile skylak: neither a file nor a built-in profile (skylake, zen4, nehalem, opteron-bh08, p4-hardware-vmm, "
        + "p4-software-vmm, max)")
    #expect(error?.exitStatus == 66)
  }

  @Test("a missing file is called that")
  func missingFile() throws {
    let error = #expect(throws: SetupError.self) { try ProfileLibrary.profile("./no/such.yaml") }
    #expect(error?.description == "profile ./no/such.yaml: no such file")
  }
}
