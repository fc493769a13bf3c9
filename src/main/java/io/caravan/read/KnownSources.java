package io.caravan.read;

import io.caravan.client.Cursor;
import io.caravan.client.Source;
import io.caravan.client.Wanted;
import java.sql.Array;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * The sources as central tracked them when it was asked last.
 *
 * @param sources by name
 * @param log which view of the log may be read
 */
record KnownSources(Map<String, Tracked> sources, String log) {
  private static final String TRACKED =
      "select id, name, generation, loose, key, columns, types, state from caravan_internal.tracked";
  private static final String LOG =
      "select case when pg_catalog.has_column_privilege('caravan.change', 'key', 'select')"
          + " then 'caravan.change' else 'caravan_internal.log' end";

  /** Nothing is known. */
  static KnownSources none() {
    return new KnownSources(Map.of(), "");
  }

  /** Asks central. */
  static KnownSources read(Connection connection) throws SQLException {
    Map<String, Tracked> sources = new HashMap<>();
    try (Statement question = connection.createStatement()) {
      try (ResultSet row = question.executeQuery(TRACKED)) {
        while (row.next()) {
          sources.put(row.getString("name"), tracked(row));
        }
      }
      try (ResultSet row = question.executeQuery(LOG)) {
        row.next();
        return new KnownSources(sources, row.getString(1));
      }
    }
  }

  private static Tracked tracked(ResultSet row) throws SQLException {
    return new Tracked(
        row.getInt("id"),
        row.getString("name"),
        row.getInt("generation"),
        row.getBoolean("loose"),
        texts(row.getArray("key")),
        texts(row.getArray("columns")),
        texts(row.getArray("types")),
        row.getString("state"));
  }

  private static List<String> texts(Array array) throws SQLException {
    return List.of((String[]) array.getArray());
  }

  /** Empty where a source is not tracked, or the client is not loaded with what it maps now. */
  Optional<Shape> shape(Cursor cursor, List<Wanted> wanted) {
    List<Tracked> tracked = new ArrayList<>();
    List<Source> described = new ArrayList<>();
    for (Wanted one : wanted) {
      Tracked source = sources.get(one.source());
      if (source == null || !isLoaded(cursor, one, source)) {
        return Optional.empty();
      }
      tracked.add(source);
      described.add(source.described(one.columns()));
    }
    List<List<Integer>> siblings =
        wanted.stream().map(one -> siblings(one, wanted, tracked)).toList();
    return Optional.of(new Shape(tracked, described, siblings, log));
  }

  private static List<Integer> siblings(Wanted one, List<Wanted> wanted, List<Tracked> tracked) {
    if (one.siblings().isEmpty()) {
      return List.of();
    }
    List<String> keyTypes = tracked.get(wanted.indexOf(one)).keyTypes();
    return IntStream.range(0, wanted.size())
        .filter(i -> one.siblings().contains(wanted.get(i).source()))
        .filter(i -> tracked.get(i).keyTypes().equals(keyTypes))
        .boxed()
        .toList();
  }

  /**
   * The source that a client is to be loaded with next; empty where its cursor does not say that it
   * is being loaded with this one.
   */
  Optional<Shape> toLoad(Cursor cursor, List<Wanted> wanted) {
    for (Wanted one : wanted) {
      Tracked source = sources.get(one.source());
      if (source == null) {
        return Optional.empty();
      }
      if (!isLoaded(cursor, one, source)) {
        Cursor.Load load = cursor.load();
        boolean isThis =
            load.source().equals(one.source()) && load.mark().equals(source.markOf(one));
        return isThis
            ? Optional.of(
                new Shape(
                    List.of(source),
                    List.of(source.described(one.columns())),
                    List.of(List.of()),
                    log))
            : Optional.empty();
      }
    }
    return Optional.empty();
  }

  private static boolean isLoaded(Cursor cursor, Wanted wanted, Tracked source) {
    return cursor.mark(wanted.source()).equals(source.markOf(wanted));
  }
}
