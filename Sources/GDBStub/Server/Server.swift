import NIOCore
import NIOPosix
import Synchronization

/// Listens for gdb, one at a time; a thin shell around `PacketStream` and `Mailbox`.
public final class Server {
  private let group: MultiThreadedEventLoopGroup
  private let channel: any Channel
  public let mailbox: Mailbox
  /// The address in use, with the port that the system chose where none was given.
  public let address: String
  public let port: Int

  /// - Parameter stop: stops a machine that is running; called from another thread.
  /// - Throws: why the address cannot be used.
  public init(_ endpoint: Endpoint, stop: @escaping @Sendable () -> Void) throws(Endpoint.Failure) {
    let mailbox = Mailbox(stop: stop)
    let seat = Seat()
    group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    self.mailbox = mailbox
    do {
      channel = try ServerBootstrap(group: group)
        .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
        .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
        .childChannelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(ConnectionHandler(mailbox, seat))
          }
        }
        .bind(host: endpoint.host, port: endpoint.port).wait()
    } catch {
      group.shutdownGracefully { _ in }
      throw Endpoint.Failure(description: "gdb: cannot listen on \(endpoint): \(error)")
    }
    port = channel.localAddress?.port ?? endpoint.port
    address = "\(channel.localAddress?.ipAddress ?? endpoint.host):\(port)"
  }

  /// Ends all connections, once what was sent has left.
  public func close() {
    try? channel.close().wait()
    try? group.syncShutdownGracefully()
  }
}

/// Room for one.
final class Seat: Sendable {
  private let isTaken = Mutex(false)

  func take() -> Bool {
    isTaken.withLock { isTaken in
      defer { isTaken = true }
      return !isTaken
    }
  }

  func leave() { isTaken.withLock { $0 = false } }
}
