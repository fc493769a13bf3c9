package io.caravan.reconcile;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import javax.sql.DataSource;

/** Central's answers, by its function {@code caravan.answer}: with the rights of the hub. */
public final class SideInCentral implements Side.OfCentral {
  // OFFSET keeps PostgreSQL from asking again for each use of the answer.
  private static final String ANSWER =
      "(select caravan.answer(?::jsonb, ?::jsonb)::jsonb offset 0) as answer (a)";

  private final DataSource central;
  private final String mapping;

  /**
   * Central, for a client with this mapping.
   *
   * @param mapping as JSON
   */
  public SideInCentral(DataSource central, String mapping) {
    this.central = central;
    this.mapping = mapping;
  }

  @Override
  public List<Uncomputed> prepare(Comparison comparison) throws SQLException {
    List<Uncomputed> failures = new ArrayList<>();
    ask(
        "select e operator(pg_catalog.->>) 'column'::text, e operator(pg_catalog.->>) 'why'::text from "
            + ANSWER
            + ", pg_catalog.jsonb_array_elements(a) as e",
        Question.of("prepare", comparison).with("seed", 0),
        row -> failures.add(new Uncomputed(row.getString(1), row.getString(2))));
    return failures;
  }

  @Override
  public DigestPart digest(Comparison comparison, Scope scope, long from) throws SQLException {
    Question question = Question.of("digest", comparison).in(scope).from("central", from);
    List<DigestPart> parts = new ArrayList<>();
    ask(Answers.DIGEST + ANSWER, question, row -> parts.add(Answers.digest(row)));
    return parts.get(0);
  }

  @Override
  public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
      throws SQLException {
    Question question = Question.of("list", comparison).in(scope).from("central", from);
    List<Block> last = new ArrayList<>(List.of(new Block(Block.END, 0)));
    ask(Answers.LIST.formatted(ANSWER), question, row -> last.set(0, Answers.listed(row, each)));
    return last.get(0);
  }

  @Override
  public CentralRows look(Comparison comparison, Scope scope, List<String> keys)
      throws SQLException {
    Map<String, CentralRows.Row> rows = new HashMap<>();
    List<String> snapshot = new ArrayList<>();
    ask(
        """
        select a operator(pg_catalog.->>) 'snapshot'::text, (e operator(pg_catalog.->) 'key'::text)::text, (e operator(pg_catalog.->>) 'hash'::text)::bigint,
          (e operator(pg_catalog.->) 'spelled'::text)::text
        from %s
        left join lateral pg_catalog.jsonb_array_elements(a operator(pg_catalog.->) 'rows'::text) as e on true
        """
            .formatted(ANSWER),
        Question.of("look", comparison).in(scope).keys(keys),
        row -> {
          snapshot.add(row.getString(1));
          if (row.getString(2) != null) {
            rows.put(
                row.getString(2),
                new CentralRows.Row(row.getLong(3), Answers.json(row.getString(4))));
          }
        });
    return new CentralRows(snapshot.get(0), rows);
  }

  private void ask(String sql, Question question, Answers.Taker taker) throws SQLException {
    try (Connection connection = central.getConnection();
        PreparedStatement statement = connection.prepareStatement(sql)) {
      statement.setString(1, question.toString());
      statement.setString(2, mapping);
      try (ResultSet row = statement.executeQuery()) {
        while (row.next()) {
          taker.take(row);
        }
      }
    }
  }
}
