package io.caravan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A TCP connection to a local port that can go silent: bytes vanish, and neither side is told, as
 * when a firewall forgets a connection or a host loses its power.
 */
final class Wire implements AutoCloseable {
  private final ServerSocket near = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final int target;
  private volatile int connections;
  private volatile int silentConnections;

  Wire(int target) throws IOException {
    this.target = target;
    threads.execute(this::accept);
  }

  int port() {
    return near.getLocalPort();
  }

  /** How many connections were made so far, the silent ones included. */
  int connections() {
    return connections;
  }

  /** From now on nothing passes, on new connections neither. */
  void silence() {
    silentConnections = Integer.MAX_VALUE;
  }

  /** New connections work again; those that there are stay silent. */
  void restore() {
    silentConnections = connections;
  }

  @Override
  public void close() {
    threads.shutdownNow();
    sockets.forEach(Wire::close);
    try {
      near.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void accept() {
    try {
      while (true) {
        Socket from = near.accept();
        Socket to = new Socket(InetAddress.getLoopbackAddress(), target);
        sockets.addAll(List.of(from, to));
        int number = connections + 1;
        connections = number;
        threads.execute(() -> copy(from, to, number));
        threads.execute(() -> copy(to, from, number));
      }
    } catch (IOException e) {
      // closed
    }
  }

  private void copy(Socket from, Socket to, int number) {
    byte[] buffer = new byte[8192];
    try {
      for (int n = from.getInputStream().read(buffer);
          n >= 0;
          n = from.getInputStream().read(buffer)) {
        if (number > silentConnections) {
          to.getOutputStream().write(buffer, 0, n);
        }
      }
    } catch (IOException e) {
      // the same as an end
    }
    if (number > silentConnections) {
      close(from);
      close(to);
    }
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
