/// A guest kernel that the binary carries inside.
public struct BuiltInGuest: Sendable {
  /// The name by which it is run.
  public let name: String
  /// What it is for, in a line.
  public let summary: String
  /// The words of its command line, with defaults where they are fixed; empty where it takes none.
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
      parameters: "spaces tasks pages switches warmup mode=kernel|user switch=voluntary|timer global=0|1 pcid=0|1 hz",
      image: PackageResources.context_switch_image),
    BuiltInGuest(
      name: "page-table-storm", summary: "writes page tables as fork, mmap and demand paging do: hard on shadow paging",
      parameters: "rounds=12 pages=1024", image: PackageResources.page_table_storm_image),
    BuiltInGuest(
      name: "pointer-chase", summary: "follows pointers, one to a page: hard on TLBs and walks",
      parameters: "pages=N|size=BYTES page=4K|2M steps=100000 stride=4096",
      image: PackageResources.pointer_chase_image),
    BuiltInGuest(
      name: "compute", summary: "sieve, sort, CRC and the like: few TLB misses", parameters: "rounds=8",
      image: PackageResources.compute_image),
    BuiltInGuest(
      name: "processors", summary: "several processors count together, interrupt one another, follow changed mappings",
      parameters: "rounds=200 laps=20 changes=20", image: PackageResources.processors_image),
    BuiltInGuest(
      name: "shootdown",
      summary: "a mapping changes, and every other processor has to drop it: the price by processors",
      parameters: "changes=100 pages=1 others=8", image: PackageResources.shootdown_image),
    BuiltInGuest(
      name: "nanobench", summary: "single operations in loops: calls, system calls, faults, ports, control registers",
      parameters: "count=1000", image: PackageResources.nanobench_image),
    BuiltInGuest(
      name: "requests", summary: "processes serve requests in turn, and touch some pages far more often than others",
      parameters: "processes=4 pages=2048 touches=64 work=300 requests=2000 skew=3 kernel=0 spread=1 lines=1",
      image: PackageResources.requests_image),
    BuiltInGuest(
      name: "crossover", summary: "page-table writes against TLB misses: which kind of paging is cheaper when",
      parameters: "writes=1 misses=100 pages=8192 turns=50", image: PackageResources.crossover_image),
    BuiltInGuest(
      name: "walks", summary: "page walks and little else: 4, 5 or fewer levels, and tables that are written meanwhile",
      parameters: "page=4K places=48 steps=4000 levels=4 written=0", image: PackageResources.walks_image),
    // The debugger's tutorial (Docs/Debugger.md) finds each of these.
    planted(
      "missed-invlpg", "a stale TLB entry, because the wrong page is invalidated",
      PackageResources.bug_missed_invlpg_image),
    planted("guard-page", "a stack that grows into its guard page", PackageResources.bug_guard_page_image),
    planted(
      "read-only-alias", "writes through a second mapping that never arrive", PackageResources.bug_read_only_alias_image
    ),
    planted("user-bit", "a program that may not touch its own page", PackageResources.bug_user_bit_image),
    planted(
      "freed-table", "a page table that is given back while it is in use", PackageResources.bug_freed_table_image),
  ]

  private static func planted(_ name: String, _ what: String, _ image: [UInt8]) -> BuiltInGuest {
    BuiltInGuest(name: "bug-" + name, summary: "with a planted bug: " + what, parameters: "", image: image)
  }

  /// The guest of a name.
  public static func named(_ name: String) -> BuiltInGuest? { all.first { $0.name == name } }
}
