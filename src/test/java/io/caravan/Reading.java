package io.caravan;

import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import io.caravan.read.Answer;
import io.caravan.read.Reader;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import javax.sql.DataSource;
import org.postgresql.ds.PGSimpleDataSource;

/** Reads central as the hub does, for a test. */
public final class Reading {
  private static final int BYTES = 10_000_000;

  private final Reader reader;

  public Reading(DataSource central) {
    reader = new Reader(central, BYTES);
  }

  /** As somebody who has logged in there. */
  public static Reading as(String url) {
    PGSimpleDataSource central = new PGSimpleDataSource();
    central.setUrl(url);
    return new Reading(central);
  }

  /** On one connection, in a transaction that the test ends. */
  public static Reading on(Connection central) {
    Connection kept =
        (Connection)
            Proxy.newProxyInstance(
                Reading.class.getClassLoader(),
                new Class<?>[] {Connection.class},
                (proxy, method, arguments) ->
                    Set.of("commit", "rollback", "close", "setAutoCommit")
                            .contains(method.getName())
                        ? null
                        : method.invoke(central, arguments));
    return new Reading(
        (DataSource)
            Proxy.newProxyInstance(
                Reading.class.getClassLoader(),
                new Class<?>[] {DataSource.class},
                (proxy, method, arguments) -> kept));
  }

  /** Sources that a client maps; their fingerprint is f. */
  public static List<Wanted> of(String... sources) {
    return Arrays.stream(sources).map(source -> new Wanted(source, "f", null, List.of())).toList();
  }

  /** The next page. */
  public Answer page(Cursor cursor, List<Wanted> sources) {
    return page(cursor, sources, 1000, BYTES, null);
  }

  /** The same, of so many changes. */
  public Answer page(Cursor cursor, List<Wanted> sources, int rows) {
    return page(cursor, sources, rows, BYTES, null);
  }

  /** The same, with all that one can say. */
  public Answer page(Cursor cursor, List<Wanted> sources, int rows, int bytes, String until) {
    try {
      return reader.read(cursor, sources, rows, bytes, until);
    } catch (SQLException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }
}
