/// A 16550 serial port (National Semiconductor PC16550D datasheet).
///
/// Transmission takes no time: a byte leaves as soon as it is written. Input is pulled: a byte stays on the host's side
/// until the guest reads it, and all that has arrived there counts as received, up to the FIFO's depth. So input that
/// is available from the start reaches the guest at a pace that depends on nothing but the guest.
///
/// A console that waits (`Console.waits`) is asked only when the guest waits too: it has enabled the receiver's
/// interrupt, or it reads the line status over and over. A guest that only sends reads the line status once a byte, and
/// must not be held up by input that never comes.
///
/// As in QEMU, and unlike on a PC's board, MCR's OUT2 does not gate the interrupt.
public struct UART16550: Equatable, Sendable {
  /// Receiver FIFO's depth, in bytes.
  static let depth = 16

  /// Readings of the line status in a row that tell a guest which waits for input from one that sends.
  static let patience = 8
  /// The same for readings in all, less the bytes sent: a guest may send while it waits.
  static let longPatience = 4096

  /// Bits of the line status register.
  enum LineStatus {
    static let dataReady: UInt8 = 0x01
    static let overrun: UInt8 = 0x02
    static let transmitterEmpty: UInt8 = 0x60
  }

  /// Bits of the modem control register.
  private enum ModemControl {
    static let loopback: UInt8 = 0x10
  }

  /// What the interrupt identification register names, from the most urgent on.
  private enum Source: UInt8 {
    case lineStatus = 0x06
    case receivedData = 0x04
    case characterTimeout = 0x0c
    case transmitterEmpty = 0x02
    case modemStatus = 0x00
  }

  /// Input bytes that the guest has taken from the console since the start.
  public private(set) var consumed = 0

  /// Input bytes, from the start, that a console which waits has been asked for and had.
  private var known = 0
  /// Readings of the line status since any other access, and since the last byte received less the bytes sent.
  private var looks = 0
  private var surplusLooks = 0

  private var interruptEnable: UInt8 = 0
  private var lineControl: UInt8 = 0x03
  private var modemControl: UInt8 = 0x08
  private var modemDelta: UInt8 = 0
  private var scratch: UInt8 = 0
  /// 12 stands for 9600 baud.
  private var divisor: UInt16 = 12
  private var fifoEnabled = false
  private var triggerLevel = 1
  private var overrun = false
  /// Set when the transmitter runs empty, cleared when the guest has been told.
  private var transmitterEmptyPending = false
  /// Bytes that came through the loop, the oldest first; input from the console never waits here.
  private var looped: [UInt8] = []

  public init() {}

  /// Whether bytes from the console can raise an interrupt.
  public var interruptsOnInput: Bool { interruptEnable & 0x01 != 0 && !isLooped }

  // MARK: Registers

  /// The registers that software has set.
  public var settings: (interruptEnable: UInt8, lineControl: UInt8, modemControl: UInt8, divisor: UInt16) {
    (interruptEnable, lineControl, modemControl, divisor)
  }

  /// Reads the register at an offset from 0 to 7; input comes from the console.
  public mutating func read(_ offset: Int, from console: some Console) -> UInt8 {
    if offset & 7 != 5 { looks = 0 }
    switch offset & 7 {
    case 0:
      if accessesDivisor { return UInt8(truncatingIfNeeded: divisor) }
      return receive(from: console)
    case 1: return accessesDivisor ? UInt8(truncatingIfNeeded: divisor >> 8) : interruptEnable
    case 2:
      let source = source(console)
      if source == .transmitterEmpty { transmitterEmptyPending = false }
      return (source?.rawValue ?? 0x01) | (fifoEnabled ? 0xc0 : 0)
    case 3: return lineControl
    case 4: return modemControl
    case 5:
      let status = lineStatus(console)
      overrun = false
      return status
    case 6:
      let status = modemInputs | modemDelta
      modemDelta = 0
      return status
    default: return scratch
    }
  }

  /// Writes the register at an offset from 0 to 7; gives the byte that leaves on the line, if one does.
  public mutating func write(_ value: UInt8, to offset: Int) -> UInt8? {
    looks = 0
    switch offset & 7 {
    case 0:
      if !accessesDivisor { return transmit(value) }
      divisor = divisor & 0xff00 | UInt16(value)
    case 1:
      if accessesDivisor {
        divisor = divisor & 0x00ff | UInt16(value) << 8
      } else {
        // Enabling the transmitter's interrupt raises it at once, for the transmitter is always empty.
        if value & ~interruptEnable & 0x02 != 0 { transmitterEmptyPending = true }
        interruptEnable = value & 0x0f
      }
    case 2: writeFIFOControl(value)
    case 3: lineControl = value
    case 4:
      let before = modemInputs
      modemControl = value & 0x1f
      noteModemChange(from: before)
    case 7: scratch = value
    default:
      // Line and modem status are read-only.
      break
    }
    return nil
  }

  /// Whether the interrupt output is high.
  public mutating func isAsserted(_ console: some Console) -> Bool { source(console) != nil }

  // MARK: Parts

  private var accessesDivisor: Bool { lineControl & 0x80 != 0 }
  private var isLooped: Bool { modemControl & ModemControl.loopback != 0 }

  private mutating func receive(from console: some Console) -> UInt8 {
    if !looped.isEmpty { return looped.removeFirst() }
    guard !isLooped, !console.waits || consumed < known, let byte = console.byte(at: consumed) else { return 0 }
    consumed &+= 1
    surplusLooks = 0
    return byte
  }

  private mutating func transmit(_ value: UInt8) -> UInt8? {
    transmitterEmptyPending = true
    surplusLooks = max(surplusLooks - 1, 0)
    guard isLooped else { return value }
    if looped.count < (fifoEnabled ? Self.depth : 1) {
      looped.append(value)
    } else {
      overrun = true
      // Without a FIFO the new character replaces the one that nobody read.
      if !fifoEnabled { looped = [value] }
    }
    return nil
  }

  private mutating func writeFIFOControl(_ value: UInt8) {
    let enables = value & 0x01 != 0
    if enables != fifoEnabled || value & 0x02 != 0 { looped.removeAll() }
    fifoEnabled = enables
    triggerLevel = enables ? [1, 4, 8, 14][Int(value >> 6)] : 1
  }

  /// Whether so many bytes are there to be read.
  /// - Parameter isAwaited: the guest waits for them.
  private mutating func hasReceived(_ count: Int, _ console: some Console, isAwaited: Bool) -> Bool {
    if looped.count >= count { return true }
    guard !isLooped else { return false }
    let index = consumed &+ (count - looped.count - 1)
    guard console.waits else { return console.byte(at: index) != nil }
    if index >= known && isAwaited && console.byte(at: index) != nil { known = index &+ 1 }
    return index < known
  }

  private mutating func lineStatus(_ console: some Console) -> UInt8 {
    looks = min(looks + 1, Self.patience)
    surplusLooks = min(surplusLooks + 1, Self.longPatience)
    let isAwaited = looks == Self.patience || surplusLooks == Self.longPatience
    return LineStatus.transmitterEmpty | (hasReceived(1, console, isAwaited: isAwaited) ? LineStatus.dataReady : 0)
      | (overrun ? LineStatus.overrun : 0)
  }

  /// CTS, DSR, RI and DCD in the upper half of MSR: a cable that is always connected, or the loop.
  private var modemInputs: UInt8 {
    guard isLooped else { return 0xb0 }
    let dtr = modemControl & 0x01
    let rts = modemControl & 0x02
    let outputs = modemControl & 0x0c
    return rts << 3 | dtr << 5 | outputs << 4
  }

  private mutating func noteModemChange(from before: UInt8) {
    let changed = before ^ modemInputs
    // The ring indicator's bit tells of its trailing edge alone.
    modemDelta |= changed >> 4 & 0x0b | (changed & before) >> 4 & 0x04
  }

  private mutating func source(_ console: some Console) -> Source? {
    if interruptEnable & 0x04 != 0 && overrun { return .lineStatus }
    if interruptEnable & 0x01 != 0 && hasReceived(1, console, isAwaited: true) {
      // The timeout of four characters counts as over at once.
      return hasReceived(triggerLevel, console, isAwaited: false) ? .receivedData : .characterTimeout
    }
    if interruptEnable & 0x02 != 0 && transmitterEmptyPending { return .transmitterEmpty }
    if interruptEnable & 0x08 != 0 && modemDelta != 0 { return .modemStatus }
    return nil
  }
}
