package io.caravan.reconcile;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.client.Source;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;
import javax.sql.DataSource;

/** A client's answers, by the function {@code caravan.answer} in its database. */
public final class SideInClient implements Side.OfClient {
  private static final ObjectMapper JSON = new ObjectMapper();
  // OFFSET keeps PostgreSQL from asking again for each use of the answer.
  private static final String ANSWER =
      "(select caravan.answer(?, ?::jsonb, ?::jsonb)::jsonb offset 0) as answer (a)";

  private final DataSource database;
  private final String client;
  private final String mapping;

  /**
   * A client with this mapping.
   *
   * @param mapping as JSON
   */
  public SideInClient(DataSource database, String client, String mapping) {
    this.database = database;
    this.client = client;
    this.mapping = mapping;
  }

  @Override
  public Survey survey(int number, Source source) throws SQLException {
    List<String> answer = new ArrayList<>();
    ask(
        "select a::text, a operator(pg_catalog.->>) 'cursor'::text from " + ANSWER,
        Question.about("survey", number).with("source", source),
        row -> {
          answer.add(row.getString(1));
          answer.add(Answers.orEmpty(row.getString(2)));
        });
    try {
      JsonNode json = JSON.readTree(answer.get(0));
      Set<String> known = new LinkedHashSet<>();
      json.path("known").forEach(name -> known.add(name.asText()));
      return new Survey(
          answer.get(1), columns(json.path("key")), columns(json.path("columns")), known);
    } catch (JsonProcessingException e) {
      throw new SQLException("the client's survey can't be read", e);
    }
  }

  private static List<Column> columns(JsonNode json) {
    List<Column> columns = new ArrayList<>();
    json.forEach(
        column ->
            columns.add(
                new Column(
                    column.path("name").asText(),
                    column.path("type").asText(),
                    column.path("modifier").asInt(),
                    column.path("is_text").asBoolean())));
    return columns;
  }

  @Override
  public DigestPart digest(Comparison comparison, Scope scope, long from) throws SQLException {
    Question question =
        Question.of("digest", comparison).in(scope).ofNotes(scope).from("client", from);
    List<DigestPart> parts = new ArrayList<>();
    ask(Answers.DIGEST + ANSWER, question, row -> parts.add(Answers.digest(row)));
    return parts.get(0);
  }

  @Override
  public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
      throws SQLException {
    Question question =
        Question.of("list", comparison).in(scope).ofNotes(scope).from("client", from);
    List<Block> last = new ArrayList<>(List.of(new Block(Block.END, 0)));
    ask(Answers.LIST.formatted(ANSWER), question, row -> last.set(0, Answers.listed(row, each)));
    return last.get(0);
  }

  @Override
  public ClientRows look(Comparison comparison, Scope scope, List<String> keys)
      throws SQLException {
    Map<String, ClientRows.Row> rows = new HashMap<>();
    List<String> cursor = new ArrayList<>();
    ask(
        """
        select a operator(pg_catalog.->>) 'cursor'::text, (e operator(pg_catalog.->) 'key'::text)::text, (e operator(pg_catalog.->>) 'hash'::text)::bigint, e operator(pg_catalog.->>) 'key_text'::text,
          (e operator(pg_catalog.->>) 'owned'::text)::boolean
        from %s
        left join lateral pg_catalog.jsonb_array_elements(a operator(pg_catalog.->) 'rows'::text) as e on true
        """
            .formatted(ANSWER),
        Question.of("look", comparison).in(scope).keys(keys),
        row -> {
          cursor.add(Answers.orEmpty(row.getString(1)));
          if (row.getString(2) != null) {
            OptionalLong hash =
                row.getObject(3) == null ? OptionalLong.empty() : OptionalLong.of(row.getLong(3));
            rows.put(
                row.getString(2),
                new ClientRows.Row(hash, Answers.orEmpty(row.getString(4)), row.getBoolean(5)));
          }
        });
    return new ClientRows(cursor.get(0), rows);
  }

  @Override
  public Orphans orphans(Comparison comparison, String after) throws SQLException {
    List<String> keys = new ArrayList<>();
    List<String> next = new ArrayList<>();
    ask(
        """
        select (a operator(pg_catalog.->) 'after'::text)::text, e::text
        from %s
        left join lateral pg_catalog.jsonb_array_elements(a operator(pg_catalog.->) 'keys'::text) as e on true
        """
            .formatted(ANSWER),
        Question.of("orphans", comparison).after(after),
        row -> {
          next.add(Answers.json(row.getString(1)));
          if (row.getString(2) != null) {
            keys.add(row.getString(2));
          }
        });
    return new Orphans(keys, next.get(0));
  }

  private void ask(String sql, Question question, Answers.Taker taker) throws SQLException {
    try (Connection connection = database.getConnection();
        PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setString(1, client);
      statement.setString(2, question.toString());
      statement.setString(3, mapping);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          taker.take(row);
        }
      }
    }
  }
}
