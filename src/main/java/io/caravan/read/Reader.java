package io.caravan.read;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.caravan.client.Cursor;
import io.caravan.client.Source;
import io.caravan.client.Wanted;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import javax.sql.DataSource;

/**
 * Reads central for a client: what is new since its cursor by one query; and what is more seldom, a
 * fill, a sweep, or another history of central, by {@code caravan.read}, which also says what is
 * wrong where a source cannot be read, and gives a cursor from which to read what is new.
 */
public final class Reader {
  private static final String TRACKED =
      "select id, name, generation, loose, key, columns, types, state from caravan.tracked";
  private static final String LOG =
      "select case when pg_catalog.has_column_privilege('caravan.change', 'key', 'select')"
          + " then 'caravan.change' else 'caravan.log' end";
  private static final String READ =
      "select cursor::text, page, progress, refusing, more"
          + " from caravan.read(?::jsonb, ?::jsonb, ?, ?, ?::jsonb, ?)";
  // Plans are kept, and made as for a large log of which little is new, which it soon is. Without
  // JIT, which takes longer than the query whose cost it is afraid of.
  private static final Map<String, String> PLANNING =
      Map.of(
          "plan_cache_mode", "force_generic_plan",
          "enable_seqscan", "off",
          "enable_bitmapscan", "off",
          "jit", "off");
  // Where rows are large, only some more are found than fit into a page.
  private static final int FEWEST = 8;
  // A client for which nothing changes is moved on, lest it read past the same changes again.
  private static final long MOST_OF_OTHERS = 10_000;
  private static final int MOST_TRIES = 5;
  // Names, rights, and what else differs where a source is no longer as it was.
  private static final Pattern OF_A_SOURCE = Pattern.compile("42...|3F...|0A...|XX000|55000");
  private static final ObjectMapper JSON = new ObjectMapper();

  private final DataSource central;
  private final int largestRow;
  private final Map<Shape, WindowStatement> statements = new ConcurrentHashMap<>();
  // How many rows are asked for, where a page of that many was larger than it may be.
  private final Map<Bounds, Integer> rowsOfPages = new ConcurrentHashMap<>();
  private volatile Known known = new Known(Map.of(), "");

  /**
   * Reads from there.
   *
   * @param central connections of this reader alone, because it sets how they write and plan
   * @param largestRow how many bytes the texts of a row's values may have; of a larger one a page
   *     says no more than that it is
   */
  public Reader(DataSource central, int largestRow) {
    this.central = central;
    this.largestRow = largestRow;
  }

  /**
   * The next page for a client.
   *
   * @param cursor where it stands; null: it has none yet
   * @param wanted the sources that it maps, in the order in which they are to be filled
   * @param most how many changes a page has at most
   * @param mostBytes after how many bytes it takes no further row
   * @param held the client's next keys as JSON, while it is swept; otherwise null
   * @param until the snapshot up to which to read, where that is possible; null: up to now
   * @throws SQLException if central can't be read
   */
  public Answer read(
      Cursor cursor, List<Wanted> wanted, int most, int mostBytes, String held, String until)
      throws SQLException {
    try (Connection connection = central.getConnection()) {
      Cursor from = cursor;
      for (int tries = 0; tries < MOST_TRIES; tries++) {
        Optional<Answer> answer = Optional.empty();
        if (from != null && !from.isOfOneClient()) {
          answer = readWindow(connection, from, wanted, most, mostBytes, until);
        }
        if (answer.isEmpty()) {
          answer = Optional.of(call(connection, from, wanted, most, mostBytes, held));
        }
        from = answer.get().cursor();
        if (answer.get().progress() != null || from.isOfOneClient() || !answer.get().hasMore()) {
          return answer.get();
        }
      }
      throw new SQLException("central's sources change all the time", "55000");
    }
  }

  private Optional<Answer> readWindow(
      Connection connection, Cursor cursor, List<Wanted> wanted, int most, int bytes, String until)
      throws SQLException {
    try {
      Known before = known;
      Optional<Answer> answer =
          tryWindow(connection, false, before, cursor, wanted, most, bytes, until);
      if (answer.isEmpty()) {
        known = Known.read(connection);
        if (!known.equals(before)) {
          answer = tryWindow(connection, false, known, cursor, wanted, most, bytes, until);
        }
      }
      return answer;
    } catch (SQLException e) {
      if (!OF_A_SOURCE.matcher(String.valueOf(e.getSQLState())).matches()) {
        throw e;
      }
      return Optional.empty();
    }
  }

  /** Empty where the cursor or the sources are not as the query takes them to be. */
  private Optional<Answer> tryWindow(
      Connection connection,
      boolean isSet,
      Known known,
      Cursor cursor,
      List<Wanted> wanted,
      int most,
      int bytes,
      String until)
      throws SQLException {
    Optional<Shape> shape = known.shape(cursor, wanted);
    if (shape.isEmpty()) {
      return Optional.empty();
    }
    Snapshot since = Snapshot.of(cursor.snapshot());
    WindowStatement statement =
        statements.computeIfAbsent(shape.get(), made -> made.statement(largestRow));
    boolean isFirst = cursor.window() == null;
    String sql = isFirst ? statement.first(!since.isWithoutRunning()) : statement.further();
    Bounds bounds = new Bounds(shape.get(), most, bytes);
    int rowsOfIt = Math.min(most, rowsOfPages.getOrDefault(bounds, most));
    try (PreparedStatement query = connection.prepareStatement(sql)) {
      Parameters parameters =
          new Parameters(query)
              .text(cursor.epoch())
              .text(cursor.snapshot())
              .text(isFirst ? null : cursor.window().upto())
              .text(until)
              .text(cursor.milestone())
              .number(rowsOfIt)
              .number(bytes);
      if (isFirst) {
        parameters.since(since, false).number(rowsOfIt).since(since, false);
      } else {
        parameters.id(cursor.window().after()).id(cursor.window().last());
        parameters.since(since, true).number(rowsOfIt);
      }
      try (ResultSet rows = query.executeQuery()) {
        rows.next();
        String[] head = texts(rows.getArray("head"));
        if (head[1].equals("true")) {
          return head[0].equals("true")
              ? Optional.of(page(rows, Head.of(head), cursor, bounds, rowsOfIt))
              : Optional.empty();
        }
      }
    }
    if (isSet) {
      throw new SQLException("central does not keep what is set for its connections", "55000");
    }
    set(connection);
    return tryWindow(connection, true, known, cursor, wanted, most, bytes, until);
  }

  private Answer page(ResultSet rows, Head head, Cursor cursor, Bounds bounds, int rowsOfIt)
      throws SQLException {
    Shape shape = bounds.shape;
    PageWriter page = new PageWriter();
    Set<String> known = new HashSet<>();
    int keys = 0;
    long position = 0;
    while (rows.next()) {
      keys++;
      position = rows.getLong("id");
      String source = shape.name(rows.getInt("source"));
      String key = rows.getString("key");
      if (key == null) {
        page.clear(source);
        continue;
      }
      page.add(source, key, known.add(source + key) ? rows.getString("row") : PageWriter.KNOWN);
      // Where a key is gone, a row with an equal key that is written differently may have come:
      // 'ada', now 'Ada'. A client may not tell them apart, and would delete the row.
      String spelled = rows.getString("spelled");
      if (spelled != null && known.add(source + spelled)) {
        page.addRow(source, spelled, rows.getString("other"));
      }
      // Another source of the same table may have the row now, though its change may be in a later
      // page: a client would delete the row, and what it hangs on it.
      Array moved = rows.getArray("moved");
      List<String> siblings = moved == null ? List.of() : shape.siblings(rows.getInt("source"));
      for (int i = 0; i < siblings.size(); i++) {
        String row = texts(moved)[i];
        if (row != null && known.add(siblings.get(i) + key)) {
          page.addRow(siblings.get(i), key, row);
        }
      }
    }
    boolean isCut = keys < head.keys;
    rowsOfPages.put(bounds, isCut ? Math.max(2 * keys, FEWEST) : rowsOfIt * 4);
    return answer(page, head, cursor, shape, isCut || head.found == rowsOfIt, position);
  }

  private static Answer answer(
      PageWriter page, Head head, Cursor cursor, Shape shape, boolean isUnfinished, long position) {
    Cursor.Window window = cursor.window();
    Cursor next =
        isUnfinished
            ? cursor.at(
                cursor.snapshot(),
                head.milestone,
                new Cursor.Window(head.upto, position, window == null ? head.last : window.last()))
            : cursor.at(head.upto, head.milestone, null);
    String progress = page.isEmpty() ? null : page.progress();
    // The last page of a window moves the cursor, even if it brings nothing. And so that a client
    // for which nothing ever changes does not fall behind what caravan.clean forgets, it is moved
    // on now and then.
    if (progress == null && (window != null || head.isBehind || head.others > MOST_OF_OTHERS)) {
      progress = "nothing new";
    }
    // A window of several pages took some time. For what has come since a single page, the bell has
    // rung.
    return new Answer(
        next,
        progress == null ? null : page.page(next, shape.described()),
        progress,
        head.refusing,
        isUnfinished || window != null);
  }

  private static void set(Connection connection) throws SQLException {
    Map<String, String> settings = new LinkedHashMap<>(WindowStatement.SETTINGS);
    settings.putAll(PLANNING);
    try (Statement set = connection.createStatement()) {
      for (Map.Entry<String, String> setting : settings.entrySet()) {
        String value =
            setting.getKey().equals("search_path")
                ? setting.getValue()
                : "'" + setting.getValue() + "'";
        String name = setting.getKey().replace("transaction", "default_transaction");
        set.addBatch("set " + name + " = " + value);
      }
      set.executeBatch();
    }
  }

  private Answer call(
      Connection connection, Cursor cursor, List<Wanted> wanted, int most, int bytes, String held)
      throws SQLException {
    try (PreparedStatement read = connection.prepareStatement(READ)) {
      new Parameters(read)
          .text(cursor == null ? null : cursor.json())
          .text(json(wanted))
          .number(most)
          .number(bytes)
          .text(held)
          .number(largestRow);
      try (ResultSet row = read.executeQuery()) {
        row.next();
        String refusing = row.getString("refusing");
        return new Answer(
            Cursor.parse(row.getString("cursor")),
            row.getString("page"),
            row.getString("progress"),
            refusing == null
                ? Set.of()
                : Set.of(refusing.substring(1, refusing.length() - 1).split(",")),
            row.getBoolean("more"));
      }
    }
  }

  private static String json(List<Wanted> wanted) {
    ArrayNode json = JSON.createArrayNode();
    for (Wanted one : wanted) {
      ObjectNode source =
          json.addObject().put("source", one.source()).put("fingerprint", one.fingerprint());
      if (one.columns() != null) {
        one.columns().forEach(source.putArray("columns")::add);
      }
      one.siblings().forEach(source.withArray("/siblings")::add);
    }
    return json.toString();
  }

  /**
   * The sources as central tracked them when it was asked last.
   *
   * @param sources by name
   * @param log which view of the log may be read
   */
  private record Known(Map<String, Tracked> sources, String log) {

    static Known read(Connection connection) throws SQLException {
      Map<String, Tracked> sources = new HashMap<>();
      try (Statement question = connection.createStatement()) {
        try (ResultSet row = question.executeQuery(TRACKED)) {
          while (row.next()) {
            sources.put(
                row.getString("name"),
                new Tracked(
                    row.getInt("id"),
                    row.getString("name"),
                    row.getInt("generation"),
                    row.getBoolean("loose"),
                    List.of(texts(row.getArray("key"))),
                    List.of(texts(row.getArray("columns"))),
                    List.of(texts(row.getArray("types"))),
                    row.getString("state")));
          }
        }
        try (ResultSet row = question.executeQuery(LOG)) {
          row.next();
          return new Known(sources, row.getString(1));
        }
      }
    }

    /** Empty where a source is not tracked, or the client is not filled with what it maps now. */
    Optional<Shape> shape(Cursor cursor, List<Wanted> wanted) {
      List<Tracked> tracked = new ArrayList<>();
      List<Source> described = new ArrayList<>();
      List<List<Integer>> siblings = new ArrayList<>();
      for (Wanted one : wanted) {
        Tracked source = sources.get(one.source());
        if (source == null
            || !cursor.mark(one.source()).equals(source.mark() + "/" + one.fingerprint())) {
          return Optional.empty();
        }
        tracked.add(source);
        described.add(source.described(one.columns()));
      }
      for (int i = 0; i < wanted.size(); i++) {
        List<Integer> places = new ArrayList<>();
        for (int j = 0; j < wanted.size(); j++) {
          if (wanted.get(i).siblings().contains(wanted.get(j).source())
              && tracked.get(i).keyTypes().equals(tracked.get(j).keyTypes())) {
            places.add(j);
          }
        }
        siblings.add(places);
      }
      return Optional.of(new Shape(tracked, described, siblings, log));
    }
  }

  /** What is read, and how much of it at a time. */
  private record Bounds(Shape shape, int most, int bytes) {}

  /** What of central's sources is read. */
  private record Shape(
      List<Tracked> tracked, List<Source> sources, List<List<Integer>> siblings, String log) {

    WindowStatement statement(int largestRow) {
      return new WindowStatement(tracked, sources, siblings, log, largestRow);
    }

    String name(int id) {
      return tracked.get(place(id)).name();
    }

    /** The names of those that may have a row which the source has no more. */
    List<String> siblings(int id) {
      return siblings.get(place(id)).stream().map(i -> tracked.get(i).name()).toList();
    }

    private int place(int id) {
      int place = 0;
      while (tracked.get(place).id() != id) {
        place++;
      }
      return place;
    }

    Map<String, Source> described() {
      Map<String, Source> described = new LinkedHashMap<>();
      for (int i = 0; i < tracked.size(); i++) {
        described.put(tracked.get(i).name(), sources.get(i));
      }
      return described;
    }
  }

  /**
   * The first row of the query.
   *
   * @param upto the snapshot up to which the window goes
   * @param found how many changes there are for the page
   * @param others over how many ids the changes of all sources go, if that was looked for; or 0
   * @param last the id of the window's last change; 0 where there is none
   * @param milestone the last one; null: there is none
   * @param isBehind whether the cursor has an old one
   * @param refusing the clients that have unresolved dead letters
   * @param keys how many keys these changes are of; what is read may be fewer, for their size
   */
  private record Head(
      String upto,
      int found,
      long others,
      long last,
      String milestone,
      boolean isBehind,
      Set<String> refusing,
      int keys) {

    static Head of(String[] texts) {
      return new Head(
          texts[2],
          Integer.parseInt(texts[3]),
          texts[4] == null ? 0 : Long.parseLong(texts[4]),
          texts[5] == null ? 0 : Long.parseLong(texts[5]),
          texts[6],
          "true".equals(texts[7]),
          texts[8] == null ? Set.of() : Set.of(texts[8].split("\n")),
          Integer.parseInt(texts[9]));
    }
  }

  private static String[] texts(Array array) throws SQLException {
    return (String[]) array.getArray();
  }

  /** Sets a statement's parameters one after another. */
  private static final class Parameters {
    private final PreparedStatement statement;
    private int next = 1;

    Parameters(PreparedStatement statement) {
      this.statement = statement;
    }

    Parameters text(String value) throws SQLException {
      statement.setString(next++, value);
      return this;
    }

    Parameters number(int value) throws SQLException {
      statement.setInt(next++, value);
      return this;
    }

    Parameters id(long value) throws SQLException {
      statement.setLong(next++, value);
      return this;
    }

    Parameters since(Snapshot snapshot, boolean withRunning) throws SQLException {
      text(snapshot.xmax());
      return withRunning || !snapshot.isWithoutRunning() ? text(snapshot.running()) : this;
    }
  }
}
