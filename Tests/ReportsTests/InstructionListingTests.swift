import Foundation
import Machine
import Reports
import Testing

struct InstructionListingTests {
  private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test func `every callout is in one family`() {
    let listed = InstructionFamily.all.flatMap(\.callouts)
    for callout in Callout.allCases {
      #expect(listed.count { $0 == callout } == 1, "\(callout)")
    }
  }

  @Test func `a family's file exists, and the document is up to date`() throws {
    for family in InstructionFamily.all {
      let file = Self.root.appending(path: "Sources/Machine/Instructions/\(family.file).swift").standardized
      #expect(FileManager.default.fileExists(atPath: file.path(percentEncoded: false)), "\(family.file)")
    }
    let document = try String(contentsOf: Self.root.appending(path: "Docs/Instructions.md"), encoding: .utf8)
    #expect(document == InstructionListing.markdown, "run `make instructions`")
  }
}
