import NIOCore

/// Where answers go.
public struct Connection: Sendable {
  let channel: any Channel

  func send(_ payloads: [[UInt8]]) {
    for payload in payloads { channel.write(Outgoing.payload(payload), promise: nil) }
    channel.flush()
  }

  func stopAcknowledging() { channel.writeAndFlush(Outgoing.silence, promise: nil) }

  func close() { channel.close(promise: nil) }
}

/// What the machine's thread gives to the network's.
enum Outgoing: Sendable {
  case payload([UInt8])
  /// Nothing is acknowledged from here on.
  case silence
}

/// One connection: bytes to packets and back. All that it does it does on the network's thread.
final class ConnectionHandler: ChannelInboundHandler, ChannelOutboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = Outgoing
  typealias OutboundOut = ByteBuffer

  private var stream = PacketStream()
  private let mailbox: Mailbox
  private let seat: Seat
  private var isSeated = false

  init(_ mailbox: Mailbox, _ seat: Seat) {
    self.mailbox = mailbox
    self.seat = seat
  }

  func channelActive(context: ChannelHandlerContext) {
    isSeated = seat.take()
    guard isSeated else { return context.close(promise: nil) }
    mailbox.post(.connected(Connection(channel: context.channel)))
  }

  func channelInactive(context: ChannelHandlerContext) {
    guard isSeated else { return }
    mailbox.post(.closed)
    seat.leave()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard isSeated else { return }
    let received = stream.receive(unwrapInboundIn(data).readableBytesView)
    if !received.reply.isEmpty { write(received.reply, context, nil) }
    context.flush()
    for event in received.events {
      switch event {
      case .packet(let payload): mailbox.post(.packet(payload))
      case .interrupt: mailbox.post(.interrupt)
      }
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    switch unwrapOutboundIn(data) {
    case .payload(let payload): write(stream.send(payload), context, promise)
    case .silence:
      stream.stopAcknowledging()
      promise?.succeed()
    }
  }

  private func write(_ bytes: [UInt8], _ context: ChannelHandlerContext, _ promise: EventLoopPromise<Void>?) {
    context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: promise)
  }
}
