import Devices
import Emulator
import Machine
import Testing

@testable import Debugger

/// What is said of devices.
@Suite struct DeviceTests {
  private func said(_ command: String, guest: String, instructions: UInt64, cpus: Int) throws -> [Substring] {
    var configuration = try Configuration(pagings: [.native])
    configuration.memory = 32 << 20
    configuration.cpus = cpus
    let console = SessionConsole(source: BufferConsole())
    let machine = try VirtualMachine(configuration, guest: GuestImage.find(guest), console: console)
    let session = Session(machine, console: console)
    _ = session.go(instructions: instructions)
    var text = ""
    let prompt = Prompt(session) { text += $0 }
    prompt.execute(command)
    return text.split(separator: "\n")
  }

  @Test(arguments: ["info apic", "info devices"], [0, 5000, 20_000] as [UInt64])
  func `the state of devices fits a terminal`(command: String, instructions: UInt64) throws {
    let lines = try said(command, guest: "processors", instructions: instructions, cpus: 2)
    #expect(lines.count >= 8)
    for line in lines { #expect(line.count <= 80, "\(line)") }
  }

  @Test func `the local vector table and the interrupt controllers are decoded`() throws {
    let apic = try said("info apic", guest: "processors", instructions: 0, cpus: 1)
    #expect(apic.contains { $0.hasPrefix("LVT LINT0") && $0.contains("ExtINT") })
    #expect(apic.contains("IRR (none)"))
    let devices = try said("info devices", guest: "processors", instructions: 0, cpus: 1)
    #expect(devices.contains { $0.hasPrefix("pic0") && $0.contains("IMR 0xf8") })
    #expect(devices.contains { $0.hasPrefix("pit     channel 0: mode 2, reload 65536") })
    #expect(devices.contains { $0.hasPrefix("ioapic  pin 3-23") && $0.contains("masked") })
  }
}
