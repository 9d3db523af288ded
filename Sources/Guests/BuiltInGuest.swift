/// A guest kernel that the binary carries inside.
public struct BuiltInGuest: Sendable {
  /// The name by which it is run.
  public let name: String
  /// What it is for, in a line.
  public let summary: String
  /// The words of its command line, each with its default; empty where it takes none.
  public let parameters: String
  /// Its Multiboot image.
  public let image: [UInt8]

  /// Every built-in guest, simplest first.
  public static let all: [BuiltInGuest] = [
    BuiltInGuest(
      name: "hello", summary: "greets, and prints its command line and the mode that it runs in", parameters: "TEXT",
      image: PackageResources.hello_image),
    BuiltInGuest(
      name: "paging-tour", summary: "tries what the manual says of paging, chapter by chapter, and checks the outcome",
      parameters: "", image: PackageResources.paging_tour_image),
    BuiltInGuest(
      name: "context-switch", summary: "tasks in several address spaces take turns, each touching its own pages",
      parameters:
        "spaces=4 tasks=4 pages=16 switches=1000 warmup=16 mode=kernel|user switch=voluntary|timer global=0|1 pcid=0|1 hz=10000",
      image: PackageResources.context_switch_image),
    BuiltInGuest(
      name: "page-table-storm", summary: "changes its page tables again and again: the worst case for shadow paging",
      parameters: "", image: PackageResources.page_table_storm_image),
  ]

  /// The guest of a name.
  public static func named(_ name: String) -> BuiltInGuest? { all.first { $0.name == name } }
}
