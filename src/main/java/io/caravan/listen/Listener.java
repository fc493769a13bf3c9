package io.caravan.listen;

import com.impossibl.postgres.api.jdbc.PGConnection;
import io.caravan.client.Clients;
import io.caravan.jdbc.PasswordFile;
import io.caravan.read.Look;
import io.caravan.read.Reads;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Set;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * The data source of a {@code pgevent:} route: its connection hears one channel and heals itself.
 *
 * <p>It takes the properties of the PostgreSQL driver's own data source: {@code url}, {@code user},
 * {@code password} and so on. It feeds one route: a new connection closes the one before.
 */
public final class Listener extends PGSimpleDataSource implements AutoCloseable {
  /** Delivered after every LISTEN, the first one included: what was notified before was missed. */
  public static final String LISTEN_RING = "{\"source\":\"caravan\",\"op\":\"listen\"}";

  /** Delivered when there may be changes for which nobody has rung. */
  static final String NEWS_RING = "{\"source\":\"caravan\",\"op\":\"news\"}";

  /** Delivered when a page that was read waits for the clients. */
  public static final String PAGE_RING = "{\"source\":\"caravan\",\"op\":\"page\"}";

  static final Set<String> OWN_RINGS = Set.of(LISTEN_RING, NEWS_RING, PAGE_RING);

  private static final long serialVersionUID = 1;

  private transient volatile PasswordFile passwordFile;
  private transient volatile Clients clients = new Clients();
  private transient volatile Reads reads = new Reads();
  private transient volatile HealingConnection current = connection();

  /** A listener that gives the server five seconds to take a connection, and to answer. */
  public Listener() {
    setApplicationName("caravan-listener");
    setLoginTimeout(5);
    setConnectTimeout(5);
    setSocketTimeout(5);
    if (isKnownToTheDriver(PromptSockets.class)) {
      setSocketFactory(PromptSockets.class.getName());
    }
  }

  /** {@code camel run} compiles the hub's classes into a loader that the driver's does not see. */
  private static boolean isKnownToTheDriver(Class<?> type) {
    try {
      return Class.forName(type.getName(), false, PGSimpleDataSource.class.getClassLoader())
          == type;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  /**
   * A connection for camel-pgevent and nothing else. It succeeds while the database is down: the
   * channel is heard as soon as it can be.
   */
  @Override
  public synchronized Connection getConnection() {
    close();
    current = connection();
    return (Connection)
        Proxy.newProxyInstance(
            PGConnection.class.getClassLoader(), new Class<?>[] {PGConnection.class}, current);
  }

  /**
   * The file with the password, which is read for each login.
   *
   * @param path of the file; empty: there is none
   */
  public void setPasswordFile(String path) {
    passwordFile = path.isEmpty() ? null : new PasswordFile(Path.of(path));
  }

  private Connection login() throws SQLException {
    if (passwordFile != null) {
      setPassword(passwordFile.read());
    }
    return super.getConnection();
  }

  private HealingConnection connection() {
    return new HealingConnection(this::login, clients, new Reading());
  }

  /** The clients that are woken when there are changes. */
  public void setClients(Clients clients) {
    this.clients = clients;
  }

  /** Reads on for those that have nothing to do. */
  public void setReads(Reads reads) {
    this.reads = reads;
  }

  /** Whether the channel is being heard, as far as is known: a silent network takes ten seconds. */
  public boolean isConnected() {
    return current.isConnected();
  }

  /** Whether the hub looks for changes by itself, because it would be rung for too often. */
  public boolean isAwake() {
    return current.isAwake();
  }

  /** Drops the connection at once, even if the server cannot be reached; a new one follows. */
  public void rebuild() {
    current.drop();
  }

  /** Ends listening, until the next {@link #getConnection()}. */
  @Override
  public synchronized void close() {
    current.close();
  }

  /** What the watch asks; the reads are set after the first connection was made. */
  private final class Reading implements Watch.Reading {
    @Override
    public void rung(boolean toLook) {
      reads.rung(toLook);
    }

    @Override
    public Look look() {
      return reads.look();
    }

    @Override
    public boolean isApplied() {
      return reads.isApplied();
    }
  }
}
