package io.caravan.apply;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.caravan.client.BulkLoad;
import io.caravan.client.NotedKey;
import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/**
 * A page of rows that are new to a client, as PostgreSQL loads them in bulk: with {@code COPY} into
 * the tables, and into the notes of their keys.
 */
final class BulkPage {
  private final List<BulkLoad> loads;
  private final List<StringBuilder> rows = new ArrayList<>();
  private final StringBuilder notes = new StringBuilder();
  private long count;

  /** For the tables that get the rows. */
  BulkPage(List<BulkLoad> loads) {
    this.loads = loads;
    loads.forEach(load -> rows.add(new StringBuilder()));
  }

  /** Takes the changes of a page, none of which is gone. */
  BulkPage of(PageText page) {
    String changes = page.changes();
    try (JsonParser parser = PageText.parser(changes)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String source = parser.currentName();
        parser.nextToken();
        while (parser.nextToken() == JsonToken.START_ARRAY) {
          add(source, parser, changes);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return this;
  }

  private void add(String source, JsonParser parser, String changes) throws IOException {
    parser.nextToken();
    int begin = PageText.at(parser);
    int from = begin;
    List<String> keys = new ArrayList<>();
    StringBuilder canonical = new StringBuilder();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      keys.add(value(parser));
      if (parser.currentToken() == JsonToken.VALUE_NUMBER_FLOAT) {
        canonical
            .append(changes, from, PageText.at(parser))
            .append(NotedKey.number(parser.getText()));
        from = PageText.at(parser) + parser.getTextLength();
      }
    }
    String key = changes.substring(begin, PageText.at(parser) + 1);
    canonical.append(changes, from, PageText.at(parser) + 1);
    List<String> values = new ArrayList<>();
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      values.add(value(parser));
    }
    for (int i = 0; i < loads.size(); i++) {
      BulkLoad load = loads.get(i);
      if (load.source().equals(source)) {
        add(rows.get(i), load, keys, values);
        if (load.note() != null) {
          notes.append(load.note()).append('\t');
          escape(notes, canonical.toString());
          notes.append('\t');
          escape(notes, key.contentEquals(canonical) ? null : key);
          notes.append('\n');
        }
        count++;
      }
    }
  }

  private static String value(JsonParser parser) throws IOException {
    return parser.currentToken() == JsonToken.VALUE_NULL ? null : parser.getText();
  }

  private static void add(
      StringBuilder row, BulkLoad load, List<String> keys, List<String> values) {
    String separator = "";
    for (int position : load.values()) {
      row.append(separator);
      escape(row, position > 0 ? values.get(position - 1) : keys.get(-1 - position));
      separator = "\t";
    }
    row.append('\n');
  }

  private static void escape(StringBuilder to, String value) {
    if (value == null) {
      to.append("\\N");
      return;
    }
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '\\' -> to.append("\\\\");
        case '\n' -> to.append("\\n");
        case '\r' -> to.append("\\r");
        case '\t' -> to.append("\\t");
        default -> to.append(c);
      }
    }
  }

  /**
   * Loads the rows, in the transaction of the connection.
   *
   * @return how many there are
   * @throws SQLException if one of them is not new, or is refused
   */
  long load(Connection connection) throws SQLException {
    CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
    try {
      for (int i = 0; i < loads.size(); i++) {
        if (!rows.get(i).isEmpty()) {
          copy.copyIn(loads.get(i).sql(), new StringReader(rows.get(i).toString()));
        }
      }
      if (!notes.isEmpty()) {
        copy.copyIn(BulkLoad.NOTES, new StringReader(notes.toString()));
      }
    } catch (IOException e) {
      throw new SQLException(e);
    }
    return count;
  }
}
