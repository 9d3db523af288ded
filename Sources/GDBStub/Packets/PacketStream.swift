/// Both directions of a connection: packets in and out, acknowledged and sent again until both sides agree to do without.
public struct PacketStream: Sendable {
  private var reader = PacketReader()
  private var lastSent: [UInt8] = []
  /// Whether packets are acknowledged (`QStartNoAckMode` ends it).
  public private(set) var isAcknowledged = true

  /// What a stretch of bytes has led to.
  public struct Received: Equatable, Sendable {
    public enum Event: Equatable, Sendable {
      case packet([UInt8])
      case interrupt
    }
    public var events: [Event] = []
    /// Bytes to send at once.
    public var reply: [UInt8] = []
  }

  public init() {}

  /// Takes bytes from the other side.
  public mutating func receive(_ bytes: some Sequence<UInt8>) -> Received {
    var received = Received()
    for byte in bytes {
      switch reader.feed(byte) {
      case .packet(let payload):
        if isAcknowledged { received.reply.append(UInt8(ascii: "+")) }
        received.events.append(.packet(payload))
      case .damaged: if isAcknowledged { received.reply.append(UInt8(ascii: "-")) }
      case .refused: if isAcknowledged { received.reply += lastSent }
      case .interrupt: received.events.append(.interrupt)
      case .acknowledged, nil: break
      }
    }
    return received
  }

  /// What to send for a payload.
  public mutating func send(_ payload: [UInt8]) -> [UInt8] {
    lastSent = Packet.framed(payload)
    return lastSent
  }

  /// From now on nothing is acknowledged.
  public mutating func stopAcknowledging() {
    isAcknowledged = false
    lastSent = []
  }
}
