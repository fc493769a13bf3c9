package io.caravan.read;

import io.caravan.client.Cursor;
import io.caravan.client.Wanted;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Reads what is new since a cursor, by one query: {@link WindowStatement}. */
final class WindowRead {
  // A client for which nothing changes is moved on, lest it read past the same changes again.
  private static final long MOST_OF_OTHERS = 10_000;

  private final int largestRow;
  private final Map<Shape, WindowStatement> statements = new ConcurrentHashMap<>();
  private final PageSizes sizes = new PageSizes();

  /**
   * Has read nothing yet.
   *
   * @param largestRow how many bytes the texts of a row's values may have
   */
  WindowRead(int largestRow) {
    this.largestRow = largestRow;
  }

  /**
   * The next page; empty where the cursor or the sources are not as the query takes them to be.
   *
   * @param known the sources as central tracked them when it was asked last
   * @param cursor where the client stands
   * @param wanted the sources that it maps
   * @param most how many changes a page has at most
   * @param bytes after how many bytes it takes no further row
   * @param until the snapshot up to which to read, where that is possible; null: up to now
   */
  Optional<Answer> read(
      Connection connection,
      KnownSources known,
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
    PageSizes.Bounds bounds = new PageSizes.Bounds(shape.get(), most, bytes);
    return Settings.with(connection, () -> ask(connection, bounds, cursor, until));
  }

  private Optional<Answer> ask(
      Connection connection, PageSizes.Bounds bounds, Cursor cursor, String until)
      throws SQLException, Settings.Unset {
    Snapshot since = Snapshot.of(cursor.snapshot());
    WindowStatement statement =
        statements.computeIfAbsent(
            bounds.shape(),
            s -> new WindowStatement(s.tracked(), s.sources(), s.siblings(), s.log(), largestRow));
    boolean isFirst = cursor.window() == null;
    String sql = isFirst ? statement.first(!since.isWithoutRunning()) : statement.further();
    int rowsOfIt = sizes.next(bounds);
    try (PreparedStatement query = connection.prepareStatement(sql)) {
      Parameters parameters =
          new Parameters(query)
              .text(cursor.epoch())
              .text(cursor.snapshot())
              .text(isFirst ? null : cursor.window().upto())
              .text(until)
              .text(cursor.watermark())
              .number(rowsOfIt)
              .number(bounds.bytes());
      if (isFirst) {
        parameters.since(since, false).number(rowsOfIt).since(since, false);
      } else {
        parameters.id(cursor.window().after()).id(cursor.window().last());
        parameters.since(since, true).number(rowsOfIt);
      }
      try (ResultSet rows = query.executeQuery()) {
        rows.next();
        String[] head = (String[]) rows.getArray("head").getArray();
        if (!head[1].equals("true")) {
          throw new Settings.Unset();
        }
        return head[0].equals("true")
            ? Optional.of(page(rows, Head.of(head), cursor, bounds, rowsOfIt))
            : Optional.empty();
      }
    }
  }

  private Answer page(
      ResultSet rows, Head head, Cursor cursor, PageSizes.Bounds bounds, int rowsOfIt)
      throws SQLException {
    Shape shape = bounds.shape();
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
      String[] others = moved == null ? new String[0] : (String[]) moved.getArray();
      List<String> siblings = moved == null ? List.of() : shape.siblings(rows.getInt("source"));
      for (int i = 0; i < others.length; i++) {
        if (others[i] != null && known.add(siblings.get(i) + key)) {
          page.addRow(siblings.get(i), key, others[i]);
        }
      }
    }
    boolean isCut = keys < head.keys;
    sizes.learn(bounds, rowsOfIt, keys, isCut);
    return answer(page, head, cursor, shape, isCut || head.found == rowsOfIt, position);
  }

  private static Answer answer(
      PageWriter page, Head head, Cursor cursor, Shape shape, boolean isUnfinished, long position) {
    Cursor.Window window = cursor.window();
    Cursor next =
        isUnfinished
            ? cursor.at(
                cursor.snapshot(),
                head.watermark,
                new Cursor.Window(head.upto, position, window == null ? head.last : window.last()))
            : cursor.at(head.upto, head.watermark, null);
    String progress = page.isEmpty() ? null : page.progress();
    // The last page of a window moves the cursor, even if it brings nothing. And so that a client
    // for which nothing ever changes does not fall behind what caravan_internal.compact forgets, it
    // is moved
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

  /**
   * The first row of the query.
   *
   * @param upto the snapshot up to which the window goes
   * @param found how many changes there are for the page
   * @param others over how many ids the changes of all sources go, if that was looked for; or 0
   * @param last the id of the window's last change; 0 where there is none
   * @param watermark the last one; null: there is none
   * @param isBehind whether the cursor has an old one
   * @param refusing the clients that have unresolved dead letters
   * @param keys how many keys these changes are of; what is read may be fewer, for their size
   */
  private record Head(
      String upto,
      int found,
      long others,
      long last,
      String watermark,
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
}
