// swift-tools-version: 6.2
import PackageDescription

// Warnings in our own targets are errors; dependencies are left alone.
let strict: [SwiftSetting] =
  [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]
  // `make mutations`: deliberate faults, of which no other build knows.
  + (Context.environment["MUTATIONS"] == nil ? [] : [.define("MUTATIONS")])

// Storage that is reached through one owner: the dynamic exclusivity checks of class fields would cost without ever
// being able to fire. Debug builds keep them.
let unchecked: [SwiftSetting] =
  strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

// The dispatch loop wants its indirect jump replicated into every handler (Docs/Performance.md has the measurement).
let hot: [SwiftSetting] =
  unchecked + [
    .unsafeFlags(
      ["-Xllvm", "-tail-dup-pred-size=100000", "-Xllvm", "-tail-dup-succ-size=100000"],
      .when(configuration: .release))
  ]

func library(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource]? = nil, exclude: [String] = [])
  -> Target
{
  .target(name: name, dependencies: dependencies, exclude: exclude, resources: resources, swiftSettings: strict)
}

/// The tests in Tests/NAMETests, of the module of that name unless another is given.
func tests(_ name: String, of subject: String? = nil, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: subject ?? name)] + dependencies, swiftSettings: strict)
}

let package = Package(
  name: "penumbra",
  products: [.executable(name: "penumbra", targets: ["penumbra"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
  ],
  targets: [
    .systemLibrary(
      name: "Capstone", path: "Sources/CCapstone/System", pkgConfig: "capstone",
      providers: [.apt(["libcapstone-dev"])]),
    .target(name: "CCapstone", dependencies: ["Capstone"], exclude: ["System"]),

    // SHA-256 only; swift-crypto would build a whole library for it, which takes longer than all of Penumbra.
    .systemLibrary(
      name: "OpenSSL", path: "Sources/Emulator/OpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),

    .target(name: "Machine", swiftSettings: hot),
    library("Decoding", ["Machine", "CCapstone"], exclude: ["CONVENTIONS.md"]),
    .target(name: "Devices", dependencies: ["Machine"], swiftSettings: unchecked),
    .target(name: "Hypervisor", dependencies: ["Machine"], swiftSettings: unchecked),
    library("Boot", ["Machine"]),
    library(
      "Guests", [], resources: [.embedInCode("Images")],
      exclude: [
        "Kernel", "hello", "paging-tour", "context-switch", "page-table-storm", "pointer-chase", "compute",
        "processors", "shootdown", "nanobench", "requests", "crossover", "walks", "bug-missed-invlpg", "bug-guard-page",
        "bug-read-only-alias", "bug-user-bit", "bug-freed-table",
        "minimal", "disk", "Makefile",
      ]),
    library(
      "Emulator",
      [
        "Boot", "Decoding", "Devices", "Hypervisor", "Machine", "Guests", .product(name: "Yams", package: "Yams"),
        "OpenSSL",
      ], resources: [.embedInCode("Profiles")], exclude: ["OpenSSL"]),
    library("Reports", ["Emulator", "Guests", "Machine"]),
    .systemLibrary(name: "Zlib", path: "Sources/Tracing/Zlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    library("Tracing", ["Emulator", "Devices", "Machine", "OpenSSL", "Zlib"], exclude: ["Zlib"]),
    library("Vectors", ["Emulator", "Decoding", "Machine", "Zlib"]),
    library("Debugger", ["Emulator", "Hypervisor", "Devices", "Boot", "Machine"]),
    library(
      "GDBStub",
      [
        "Debugger", "Emulator", "Devices", "Machine", .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    .executableTarget(
      name: "penumbra",
      dependencies: [
        "Boot", "Debugger", "GDBStub", "Emulator", "Reports", "Tracing", "Vectors", "Devices", "Machine", "Guests",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    // Makes instruction vectors on the host's processor (make vectors).
    .executableTarget(
      name: "VectorGenerator", dependencies: ["Vectors", "Emulator", "Decoding", "Machine"], swiftSettings: strict),

    // Fixtures that tests of several modules share.
    .target(
      name: "Support", dependencies: ["Boot", "Decoding", "Devices", "Guests", "Machine"], path: "Tests/Support",
      swiftSettings: strict),
    tests("Machine", ["Decoding", "Support", "Vectors"]),
    tests("Decoding", ["Machine"]),
    tests("Devices", ["Machine"]),
    tests("Boot", ["Machine"]),
    tests("Hypervisor", ["Boot", "Decoding", "Devices", "Guests", "Machine", "Support"]),
    tests("Emulator", ["Devices", "Machine", "Support"]),
    tests("Tracing", ["Devices", "Emulator", "Machine"]),
    tests("Reports", ["Emulator", "Guests", "Machine"]),
    .testTarget(
      name: "VectorsTests", dependencies: ["Vectors", "Emulator", "Machine", "VectorGenerator"], exclude: ["Kept"],
      swiftSettings: strict),
    tests("CommandLine", of: "penumbra", ["Emulator", "Reports", "Support"]),
    .testTarget(
      name: "DebuggerTests",
      dependencies: ["Debugger", "Boot", "Emulator", "Hypervisor", "Devices", "Guests", "Machine", "Support"],
      exclude: ["Guest", "Dialogues"], swiftSettings: strict),
    .testTarget(
      name: "GDBStubTests", dependencies: ["GDBStub", "Debugger", "Emulator", "Devices", "Machine", "Support"],
      exclude: ["Dialogues"], swiftSettings: strict),
    tests("Fuzz", of: "Support", ["Decoding", "Devices", "Hypervisor", "Machine"]),
    .testTarget(name: "ArchitectureTests", swiftSettings: strict),
  ]
)
