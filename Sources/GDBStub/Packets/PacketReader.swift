/// What has come from gdb, as the protocol's lowest layer sees it (the manual of gdb, appendix E.1).
public enum Incoming: Equatable, Sendable {
  /// `$payload#checksum`, with what was escaped put back.
  case packet([UInt8])
  /// A packet whose checksum does not hold, or that is longer than any sensible one.
  case damaged
  /// `+` and `-`: what was sent last has arrived, or has to be sent again.
  case acknowledged, refused
  /// Control-C, outside of any packet.
  case interrupt
}

/// Finds packets in a stream of bytes, wherever the stream is cut.
public struct PacketReader: Sendable {
  private enum Place {
    case outside
    case payload
    case firstDigit
    case secondDigit(UInt8)
  }

  private var place = Place.outside
  private var payload: [UInt8] = []
  private var sum: UInt8 = 0
  private var isEscaped = false
  private var isTooLong = false

  public init() {}

  /// Takes the next byte.
  public mutating func feed(_ byte: UInt8) -> Incoming? {
    switch place {
    case .outside:
      switch byte {
      case UInt8(ascii: "$"): begin()
      case UInt8(ascii: "+"): return .acknowledged
      case UInt8(ascii: "-"): return .refused
      case 0x03: return .interrupt
      default: break
      }
    // A dollar sign is never part of a payload: the rest of the last packet was lost.
    case .payload where byte == UInt8(ascii: "$"): begin()
    case .payload where byte == UInt8(ascii: "#"): place = .firstDigit
    case .payload: take(byte)
    case .firstDigit:
      guard let digit = Hex.digit(byte) else { return end(.damaged) }
      place = .secondDigit(digit)
    case .secondDigit(let first):
      guard let digit = Hex.digit(byte), first << 4 | digit == sum, !isTooLong else { return end(.damaged) }
      return end(.packet(payload))
    }
    return nil
  }

  private mutating func begin() {
    place = .payload
    payload = []
    sum = 0
    isEscaped = false
    isTooLong = false
  }

  private mutating func take(_ byte: UInt8) {
    sum = sum &+ byte
    if isEscaped {
      payload.append(byte ^ Packet.escapedBit)
      isEscaped = false
    } else if byte == Packet.escape {
      isEscaped = true
    } else {
      payload.append(byte)
    }
    if payload.count > Packet.greatestSize {
      isTooLong = true
      payload = []
    }
  }

  private mutating func end(_ incoming: Incoming) -> Incoming {
    place = .outside
    payload = []
    return incoming
  }
}
