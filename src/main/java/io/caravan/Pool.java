package io.caravan;

import com.zaxxer.hikari.HikariDataSource;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.ParameterMetaData;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The connections to one database. They know how many parameters a statement has: camel-jdbc asks
 * before each call, and PostgreSQL's driver asks the server, which takes a round trip and leaves
 * the statement unprepared.
 */
public class Pool extends HikariDataSource {
  private static final Logger LOG = LoggerFactory.getLogger(Pool.class);

  private final Map<String, Integer> parameterCounts = new ConcurrentHashMap<>();
  private final Set<Connection> lent = ConcurrentHashMap.newKeySet();

  @Override
  public Connection getConnection() throws SQLException {
    Connection connection = super.getConnection();
    lent.add(connection);
    return wrapped(
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
  void cut() {
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
    return wrapped(
        PreparedStatement.class,
        (method, arguments) ->
            method.getName().equals("getParameterMetaData")
                ? wrapped(ParameterMetaData.class, (m, a) -> count(statement, sql))
                : method.invoke(statement, arguments));
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

  private static <T> T wrapped(Class<T> type, Calls calls) {
    InvocationHandler handler =
        (proxy, method, arguments) -> {
          try {
            return calls.answer(method, arguments);
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return type.cast(
        Proxy.newProxyInstance(Pool.class.getClassLoader(), new Class<?>[] {type}, handler));
  }

  /** What is done for the calls of an interface's methods. */
  private interface Calls {
    Object answer(Method method, Object[] arguments) throws Exception;
  }
}
