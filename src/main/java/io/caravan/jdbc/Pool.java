package io.caravan.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import com.zaxxer.hikari.util.Credentials;
import io.caravan.Housekeeping;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Collectors;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connections to one database. What a file does not say of them follows from the hub's settings
 * and from the bean's name, so that a file says little.
 *
 * <p>A connection knows how many parameters a statement has: camel-jdbc asks before each call, and
 * PostgreSQL's driver asks the server, which takes a round trip and leaves the statement
 * unprepared.
 */
public class Pool extends HikariDataSource implements CamelContextAware {
  private static final Logger LOG = LoggerFactory.getLogger(Pool.class);
  private static final String SOCKET_TIMEOUT = "socketTimeout";
  private static final String LOCK_TIMEOUT = "lockTimeout";
  private static final String STATEMENT_TIMEOUT = "statementTimeout";
  private static final int CONNECT_SECONDS = 5;

  private final Map<String, Integer> parameterCounts = new ConcurrentHashMap<>();
  private final Set<Connection> lent = ConcurrentHashMap.newKeySet();
  private final Map<String, String> timeouts = new ConcurrentHashMap<>();
  private CamelContext context;
  private volatile boolean isComplete;

  /** Its first connection is made when it is asked for: a database that is down stops nobody. */
  public Pool() {
    setInitializationFailTimeout(-1);
    setConnectionTimeout(CONNECT_SECONDS * 1000L);
    addDataSourceProperty("loginTimeout", "" + CONNECT_SECONDS);
    addDataSourceProperty("connectTimeout", "" + CONNECT_SECONDS);
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * How long a statement waits for a lock. Without it, {@code caravan.lockTimeout} holds.
   *
   * @param time as PostgreSQL takes it, for instance {@code 10s}
   */
  public void setLockTimeout(String time) {
    timeouts.put(LOCK_TIMEOUT, time);
  }

  /**
   * After how long the server stops a statement. Without it, {@code caravan.statementTimeout}
   * holds.
   *
   * @param time as PostgreSQL takes it, for instance {@code 55s}
   */
  public void setStatementTimeout(String time) {
    timeouts.put(STATEMENT_TIMEOUT, time);
  }

  /** How long to wait for any answer. Without it, {@code caravan.socketTimeout} holds. */
  public void setSocketTimeout(int seconds) {
    timeouts.put(SOCKET_TIMEOUT, "" + seconds);
  }

  /**
   * The file with the password, which is read for each login.
   *
   * @param path of the file; empty: there is none
   */
  public void setPasswordFile(String path) {
    if (!path.isEmpty()) {
      PasswordFile file = new PasswordFile(Path.of(path));
      setCredentialsProvider(() -> Credentials.of(getUsername(), file.read()));
    }
  }

  /** What is set in a session of the server, by the name of PostgreSQL's setting. */
  protected Map<String, String> sessionSettings() {
    Map<String, String> settings = new LinkedHashMap<>();
    settings.put("lock_timeout", timeout(LOCK_TIMEOUT, "10s"));
    settings.put("statement_timeout", timeout(STATEMENT_TIMEOUT, "55s"));
    settings.put("tcp_user_timeout", timeout(SOCKET_TIMEOUT, "60") + "s");
    return settings;
  }

  /** What is run in each new session; null: nothing. */
  protected String initSql() {
    return sessionSettings().entrySet().stream()
        .map(setting -> "set %s = '%s'".formatted(setting.getKey(), setting.getValue()))
        .collect(Collectors.joining("; "));
  }

  /** Fills in what the file has left out, before the first connection is made. */
  protected void complete() {
    if (getPoolName() == null) {
      setPoolName(nameOfBean());
    }
    setIfAbsent(SOCKET_TIMEOUT, timeout(SOCKET_TIMEOUT, "60"));
    if (getConnectionInitSql() == null) {
      setConnectionInitSql(initSql());
    }
    if (context != null && getScheduledExecutor() == null) {
      setScheduledExecutor(context.getRegistry().findSingleByType(Housekeeping.class));
    }
  }

  /** Sets a property of the driver; it takes texts, and passes over numbers in silence. */
  protected void setIfAbsent(String name, String value) {
    getDataSourceProperties().putIfAbsent(name, value);
  }

  private String timeout(String name, String usual) {
    String own = timeouts.get(name);
    if (own != null || context == null) {
      return own == null ? usual : own;
    }
    return context.resolvePropertyPlaceholders("{{caravan.%s:%s}}".formatted(name, usual));
  }

  private String nameOfBean() {
    return context == null
        ? "pool"
        : context.getRegistry().findByTypeWithName(Pool.class).entrySet().stream()
            .filter(bean -> bean.getValue() == this)
            .map(Map.Entry::getKey)
            .findFirst()
            .orElse("pool");
  }

  private synchronized void completeOnce() {
    if (!isComplete) {
      complete();
      isComplete = true;
    }
  }

  @Override
  public Connection getConnection() throws SQLException {
    if (!isComplete) {
      completeOnce();
    }
    Connection connection = super.getConnection();
    lent.add(connection);
    return Calls.on(
        Connection.class,
        (method, arguments) -> {
          if (method.getName().equals("close")) {
            lent.remove(connection);
          }
          Object result = method.invoke(connection, arguments);
          return method.getName().equals("prepareStatement")
              ? counted((PreparedStatement) result, (String) arguments[0])
              : result;
        });
  }

  /**
   * Cuts all connections without a word to the server: whoever waits for an answer fails at once,
   * and gets a new connection when he asks again.
   */
  public void cut() {
    for (Connection connection : lent) {
      try {
        connection.abort(Pool::runApart);
      } catch (SQLException e) {
        LOG.debug("Abort failed", e);
      }
    }
    if (getHikariPoolMXBean() != null) {
      getHikariPoolMXBean().softEvictConnections();
    }
  }

  /** Closing an encrypted connection may wait for who is writing to it. */
  private static void runApart(Runnable cut) {
    Thread thread = new Thread(cut, "caravan-cut");
    thread.setDaemon(true);
    thread.start();
  }

  private PreparedStatement counted(PreparedStatement statement, String sql) {
    return Calls.on(
        PreparedStatement.class,
        (method, arguments) ->
            method.getName().equals("getParameterMetaData")
                ? Calls.on(ParameterMetaData.class, (m, a) -> described(statement, sql, m, a))
                : method.invoke(statement, arguments));
  }

  private Object described(PreparedStatement statement, String sql, Method asked, Object[] of)
      throws Exception {
    return asked.getName().equals("getParameterCount")
        ? (Object) count(statement, sql)
        : asked.invoke(statement.getParameterMetaData(), of);
  }

  /** The hub's statements are few: each is asked for once. */
  private int count(PreparedStatement statement, String sql) throws SQLException {
    Integer count = parameterCounts.get(sql);
    if (count == null) {
      count = statement.getParameterMetaData().getParameterCount();
      parameterCounts.put(sql, count);
    }
    return count;
  }
}
