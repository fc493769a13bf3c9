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
import java.util.concurrent.ConcurrentHashMap;

/**
 * The connections to one database. They know how many parameters a statement has: camel-jdbc asks
 * before each call, and PostgreSQL's driver asks the server, which takes a round trip and leaves
 * the statement unprepared.
 */
public class Pool extends HikariDataSource {
  private final Map<String, Integer> parameterCounts = new ConcurrentHashMap<>();

  @Override
  public Connection getConnection() throws SQLException {
    Connection connection = super.getConnection();
    return wrapped(
        Connection.class,
        (method, arguments) -> {
          Object result = method.invoke(connection, arguments);
          return method.getName().equals("prepareStatement")
              ? counted((PreparedStatement) result, (String) arguments[0])
              : result;
        });
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
