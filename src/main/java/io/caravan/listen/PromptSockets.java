package io.caravan.listen;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.SocketTimeoutException;
import javax.net.SocketFactory;

/**
 * Sockets with which the PostgreSQL driver does not wait for one notification more. After each one
 * it waits a millisecond for the next, and so it collects them, and returns none, for as long as
 * somebody rings a thousand times a second. That is when a hub has to wake up, so that nobody
 * rings.
 */
public final class PromptSockets extends SocketFactory {
  // What the driver waits for one more; nobody else waits that short.
  private static final int ONE_MORE_MILLIS = 1;

  @Override
  public Socket createSocket() {
    return new PromptSocket();
  }

  @Override
  public Socket createSocket(String host, int port) throws IOException {
    throw new SocketException("The driver connects by itself");
  }

  @Override
  public Socket createSocket(String host, int port, InetAddress localHost, int localPort)
      throws IOException {
    return createSocket(host, port);
  }

  @Override
  public Socket createSocket(InetAddress host, int port) throws IOException {
    return createSocket(host.getHostAddress(), port);
  }

  @Override
  public Socket createSocket(InetAddress host, int port, InetAddress localHost, int localPort)
      throws IOException {
    return createSocket(host, port);
  }

  private static final class PromptSocket extends Socket {
    private volatile boolean waitsForOneMore;

    @Override
    public synchronized void setSoTimeout(int millis) throws SocketException {
      waitsForOneMore = millis == ONE_MORE_MILLIS;
      super.setSoTimeout(millis);
    }

    @Override
    public InputStream getInputStream() throws IOException {
      return new FilterInputStream(super.getInputStream()) {
        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
          if (waitsForOneMore && available() == 0) {
            throw new SocketTimeoutException("nothing is there");
          }
          return super.read(bytes, offset, length);
        }
      };
    }
  }
}
