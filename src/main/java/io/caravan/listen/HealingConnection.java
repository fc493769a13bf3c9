package io.caravan.listen;

import com.impossibl.postgres.api.jdbc.PGNotificationListener;
import io.caravan.Backoff;
import io.caravan.News;
import io.caravan.client.Clients;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.SQLFeatureNotSupportedException;
import java.sql.Statement;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What camel-pgevent takes for a connection: behind it stands one real connection after another,
 * and a thread that hears one channel on them. A loss is never reported to Camel, only mended.
 */
final class HealingConnection implements InvocationHandler {
  private static final Logger LOG = LoggerFactory.getLogger(Listener.class);
  private static final Duration SHORTEST_PAUSE = Duration.ofMillis(200);
  private static final Duration LONGEST_PAUSE = Duration.ofSeconds(2);
  private static final int JOIN_MILLIS = 5_000;

  // The server finds a vanished hub in 20 seconds, not hours: until then, its session would hold
  // back the server's notification queue.
  private static final String NOTICE_A_VANISHED_CLIENT =
      "set tcp_keepalives_idle = 10;"
          + " set tcp_keepalives_interval = 5;"
          + " set tcp_user_timeout = 20000";

  private final Callable<Connection> source;
  private final Clients clients;
  private final Watch.Reading reading;
  private final Thread thread = new Thread(this::stayConnected, "caravan-listener");
  private String channel = "";
  private PGNotificationListener listener = new PGNotificationListener() {};
  private volatile Connection real;
  private volatile boolean connected;
  private volatile boolean awake;
  private volatile boolean closed;

  HealingConnection(Callable<Connection> source, Clients clients, Watch.Reading reading) {
    this.source = source;
    this.clients = clients;
    this.reading = reading;
    thread.setDaemon(true);
  }

  boolean isConnected() {
    return connected && !closed;
  }

  boolean isAwake() {
    return awake && isConnected();
  }

  /** Cuts the real connection without a word to the server, which may be unreachable. */
  void drop() {
    Connection connection = real;
    if (connection != null) {
      try {
        connection.abort(Runnable::run);
      } catch (SQLException e) {
        LOG.debug("Abort failed", e);
      }
    }
  }

  synchronized void close() {
    closed = true;
    drop();
    thread.interrupt(); // it may be waiting for a connection, or for its next attempt
    if (Thread.currentThread() != thread) {
      try {
        thread.join(JOIN_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /** The few methods that camel-pgevent calls. Its LISTEN and UNLISTEN are left to the thread. */
  @Override
  public Object invoke(Object proxy, Method method, Object[] args) throws SQLException {
    return switch (method.getName()) {
      case "prepareStatement" -> idleStatement();
      case "addNotificationListener" -> {
        listen((String) args[1], (PGNotificationListener) args[2]);
        yield null;
      }
      case "removeNotificationListener", "close" -> {
        close();
        yield null;
      }
      case "isClosed" -> closed;
      case "equals" -> proxy == args[0];
      case "hashCode" -> System.identityHashCode(proxy);
      case "toString" -> "HealingConnection[" + channel + "]";
      default ->
          throw new SQLFeatureNotSupportedException(
              "A listening connection has no " + method.getName());
    };
  }

  private static Object idleStatement() {
    return Proxy.newProxyInstance(
        HealingConnection.class.getClassLoader(),
        new Class<?>[] {PreparedStatement.class},
        (statement, method, args) -> method.getReturnType() == boolean.class ? false : null);
  }

  private synchronized void listen(String channel, PGNotificationListener listener)
      throws SQLException {
    if (closed || thread.isAlive()) {
      throw new SQLException("A listening connection listens once, to one channel");
    }
    this.channel = channel;
    this.listener = listener;
    thread.start();
  }

  private void stayConnected() {
    long lost = System.nanoTime();
    Backoff backoff = new Backoff(SHORTEST_PAUSE);
    News news = new News();
    while (!closed) {
      try (Connection connection = source.call();
          Statement statement = connection.createStatement()) {
        real = connection;
        String listen = "listen " + statement.enquoteIdentifier(channel, true);
        statement.execute(NOTICE_A_VANISHED_CLIENT);
        statement.execute(listen);
        connected = true;
        LOG.info(
            "Listening to {} after {} ms, attempt {}",
            channel,
            millisSince(lost),
            backoff.failures() + 1);
        backoff.reset();
        news.areOver();
        hear(
            connection.unwrap(PGConnection.class),
            new Watch(statement, clients::countActive, reading),
            statement,
            listen);
      } catch (Throwable e) { // even an OutOfMemoryError must not leave the hub deaf
        if (connected) {
          connected = false;
          lost = System.nanoTime();
        }
        String cause = e.getCause() == null ? "" : " (" + e.getCause() + ")";
        if (!closed && news.isNew(e.getMessage() + cause)) {
          LOG.warn("Not listening to {}, trying again: {}{}", channel, e.getMessage(), cause);
        }
        pause(backoff.failed(LONGEST_PAUSE));
      }
    }
  }

  /** Passes on what is heard until the connection fails. */
  private void hear(PGConnection connection, Watch watch, Statement statement, String listen)
      throws SQLException {
    deliver(connection.getBackendPID(), Listener.LISTEN_RING);
    while (!closed) {
      PGNotification[] heard = connection.getNotifications(watch.patienceMillis());
      if (heard.length > 0) {
        reading.rung(watch.isAsleep());
      }
      for (PGNotification notification : heard) {
        deliver(notification.getPID(), notification.getParameter());
      }
      boolean news = watch.seesNews(heard.length);
      awake = !watch.isAsleep();
      if (news && watch.hasPage() && !clients.isOneToBeWoken()) {
        continue; // the pumps run, and take it
      }
      if (news) {
        deliver(
            connection.getBackendPID(), watch.hasPage() ? Listener.PAGE_RING : Listener.NEWS_RING);
      } else if (heard.length == 0 && watch.isAsleep()) {
        statement.execute(listen); // changes nothing, and fails if nobody answers any more
      }
    }
  }

  private void deliver(int processId, String payload) {
    try {
      listener.notification(processId, channel, payload);
    } catch (RuntimeException e) {
      LOG.warn("A notification was not taken: {}", e.toString());
    }
  }

  private static void pause(long nanos) {
    try {
      TimeUnit.NANOSECONDS.sleep(nanos);
    } catch (InterruptedException e) {
      // closed: the loop sees it
    }
  }

  private static long millisSince(long nanos) {
    return TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - nanos);
  }
}
