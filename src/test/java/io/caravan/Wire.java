package io.caravan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * A TCP connection to a local port that can go silent: bytes vanish, and neither side is told, as
 * when a firewall forgets a connection or a host loses its power. It can be slow, too.
 */
public final class Wire implements AutoCloseable {
  private final ServerSocket near = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final ExecutorService threads = Executors.newCachedThreadPool();
  private final List<Socket> sockets = new CopyOnWriteArrayList<>();
  private final int target;
  private volatile int connections;
  private volatile int silentConnections;
  private volatile Duration delay = Duration.ZERO;

  /** A line to this port, on which connections can be made to {@link #port()}. */
  public Wire(int target) throws IOException {
    this.target = target;
    threads.execute(this::accept);
  }

  /** Where it begins, on localhost. */
  public int port() {
    return near.getLocalPort();
  }

  /** How many connections were made so far, the silent ones included. */
  public int connections() {
    return connections;
  }

  /** From now on nothing passes, on new connections neither. */
  public void silence() {
    silentConnections = Integer.MAX_VALUE;
  }

  /** New connections work again; those that there are stay silent. */
  public void restore() {
    silentConnections = connections;
  }

  /** From now on whatever is sent arrives later by this, in both directions. */
  public void delay(Duration delay) {
    this.delay = delay;
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
        connect(near.accept());
      }
    } catch (IOException e) {
      // closed
    }
  }

  private void connect(Socket from) {
    int number = connections + 1;
    connections = number;
    try {
      Socket to = new Socket(InetAddress.getLoopbackAddress(), target);
      // As both ends have it: else the last packet of a long message waits for 40 ms.
      from.setTcpNoDelay(true);
      to.setTcpNoDelay(true);
      sockets.addAll(List.of(from, to));
      threads.execute(() -> copy(from, to, number));
      threads.execute(() -> copy(to, from, number));
    } catch (IOException e) {
      close(from); // nobody is there
    }
  }

  private void copy(Socket from, Socket to, int number) {
    byte[] buffer = new byte[1 << 20]; // a delay is of a message, however long it is
    try {
      for (int n = from.getInputStream().read(buffer);
          n >= 0 && number > silentConnections;
          n = from.getInputStream().read(buffer)) {
        Thread.sleep(delay.toMillis());
        if (number > silentConnections) {
          to.getOutputStream().write(buffer, 0, n);
        }
      }
    } catch (IOException | InterruptedException e) {
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
