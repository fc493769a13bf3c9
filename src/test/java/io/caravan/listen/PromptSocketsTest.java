package io.caravan.listen;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The sockets of the listener. */
class PromptSocketsTest {
  private static final long BETWEEN_BYTES_NANOS = TimeUnit.MICROSECONDS.toNanos(300);

  private final ExecutorService sender = Executors.newSingleThreadExecutor();
  private final AtomicBoolean storm = new AtomicBoolean(true);
  private ServerSocket server;
  private Socket socket;

  @BeforeEach
  void connect() throws IOException {
    server = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
    socket = new PromptSockets().createSocket();
    socket.connect(new InetSocketAddress(server.getInetAddress(), server.getLocalPort()));
  }

  @AfterEach
  void close() throws IOException {
    storm.set(false);
    sender.shutdown();
    socket.close();
    server.close();
  }

  @Test
  void whoAsksForOneMoreGetsNoneUnlessItIsThere() throws IOException {
    sender.execute(this::send);
    InputStream received = socket.getInputStream();
    List<Integer> reads = new ArrayList<>();

    for (int n = 0; n < 101; n++) {
      socket.setSoTimeout(5_000);
      assertThat(received.read(new byte[1], 0, 1)).isOne();
      socket.setSoTimeout(1);
      reads.add(readsWhileOneMoreComes(received));
    }

    // A millisecond is three bytes: who waited for them would hardly ever come to an end.
    assertThat(reads.stream().sorted().toList().get(50)).isLessThanOrEqualTo(1);
  }

  private static int readsWhileOneMoreComes(InputStream received) throws IOException {
    for (int reads = 0; ; reads++) {
      try {
        assertThat(received.read(new byte[8192], 0, 8192)).isPositive();
      } catch (SocketTimeoutException e) {
        return reads;
      }
    }
  }

  @Test
  void whoWaitsLongerGetsWhatComes() throws IOException {
    socket.setSoTimeout(1);
    socket.setSoTimeout(5_000);
    sender.execute(this::send);

    assertThat(socket.getInputStream().read(new byte[1], 0, 1)).isOne();
  }

  /** Sends a byte every 300 microseconds, for ten seconds at most. */
  private void send() {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    try (Socket other = server.accept()) {
      other.setTcpNoDelay(true);
      for (long next = System.nanoTime(); storm.get() && next < end; next += BETWEEN_BYTES_NANOS) {
        while (System.nanoTime() < next) {
          Thread.onSpinWait();
        }
        other.getOutputStream().write('A');
      }
    } catch (IOException e) {
      if (storm.get()) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
