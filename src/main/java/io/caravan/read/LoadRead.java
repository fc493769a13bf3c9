package io.caravan.read;

import io.caravan.client.Cursor;
import io.caravan.client.Source;
import io.caravan.client.Wanted;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;

/** Reads the rows of a client's initial load, page by page: {@link LoadStatement}. */
final class LoadRead {
  private final int largestRow;
  private final PageSizes sizes = new PageSizes();

  /**
   * Has read nothing yet.
   *
   * @param largestRow how many bytes the texts of a row's values may have
   */
  LoadRead(int largestRow) {
    this.largestRow = largestRow;
  }

  /**
   * The next page; empty where the cursor or the sources are not as the query takes them to be.
   *
   * @param known the sources as central tracked them when it was asked last
   * @param cursor where the client stands
   * @param wanted the sources that it maps
   * @param most how many rows a page has at most
   * @param bytes after how many bytes it takes no further row
   */
  Optional<Answer> read(
      Connection connection,
      KnownSources known,
      Cursor cursor,
      List<Wanted> wanted,
      int most,
      int bytes)
      throws SQLException {
    Optional<Shape> shape = known.toLoad(cursor, wanted);
    if (shape.isEmpty()) {
      return Optional.empty();
    }
    PageSizes.Bounds bounds = new PageSizes.Bounds(shape.get(), most, bytes);
    return Settings.with(connection, () -> ask(connection, bounds, cursor));
  }

  private Optional<Answer> ask(Connection connection, PageSizes.Bounds bounds, Cursor cursor)
      throws SQLException, Settings.Unset {
    Tracked source = bounds.shape().tracked().get(0);
    Source described = bounds.shape().sources().get(0);
    String after = cursor.load().after();
    String sql = LoadStatement.sql(source, described, after != null, largestRow);
    int rowsOfIt = sizes.next(bounds);
    try (PreparedStatement query = connection.prepareStatement(sql)) {
      Parameters parameters =
          new Parameters(query)
              .text(cursor.epoch())
              .text(cursor.snapshot())
              .text(cursor.watermark())
              .text(cursor.load().since())
              .id(bounds.bytes());
      if (after != null) {
        parameters.text(after);
      }
      parameters.number(rowsOfIt);
      try (ResultSet rows = query.executeQuery()) {
        rows.next();
        String[] head = (String[]) rows.getArray("head").getArray();
        if (!head[1].equals("true")) {
          throw new Settings.Unset();
        }
        return head[0].equals("true")
            ? Optional.of(page(rows, head, bounds, cursor, rowsOfIt))
            : Optional.empty();
      }
    }
  }

  private Answer page(
      ResultSet rows, String[] head, PageSizes.Bounds bounds, Cursor cursor, int rowsOfIt)
      throws SQLException {
    PageWriter page = new PageWriter();
    String name = cursor.load().source();
    String last = cursor.load().after();
    int count = 0;
    long size = 0;
    while (rows.next()) {
      count++;
      last = rows.getString("key");
      page.add(name, last, rows.getString("row"));
      size = rows.getLong("bytes");
    }
    Cursor.Load load = cursor.load().after(last, count);
    boolean isCut = size >= bounds.bytes();
    sizes.learn(bounds, rowsOfIt, count, isCut);
    boolean isLast = count < rowsOfIt && !isCut;
    Cursor next = isLast ? cursor.loaded(head[2]) : cursor.loading(head[2], load);
    double seconds = Math.max(Double.parseDouble(head[4]), 0.001);
    return new Answer(
        next,
        page.loadPage(next, bounds.shape().described()),
        isLast ? done(load, seconds) : progress(load, count, seconds),
        head[3] == null ? Set.of() : Set.of(head[3].split("\n")),
        true);
  }

  private static String done(Cursor.Load load, double seconds) {
    return String.format(
        Locale.ROOT, "all %d rows of %s, in %.1f s", load.rows(), load.source(), seconds);
  }

  private static String progress(Cursor.Load load, int count, double seconds) {
    long total = Math.max(load.total(), load.rows());
    String progress =
        "%d of about %d rows of %s (%d %%)"
            .formatted(load.rows(), total, load.source(), 100 * load.rows() / total);
    if (load.rows() == count) {
      return progress;
    }
    return progress
        + ", %d rows/s, about %d s left"
            .formatted(
                Math.round(load.rows() / seconds),
                (long) Math.ceil((total - load.rows()) * seconds / load.rows()));
  }
}
