package io.caravan.reconcile;

import io.caravan.Fault;
import io.caravan.client.Mapping;
import io.caravan.client.Target;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.postgresql.util.PSQLException;

/**
 * Central's answers: its rows as a client would hold them. The expressions of a mapping are
 * computed here, and they are SQL: so all of this runs with the rights of the hub, over the views
 * of what it may read.
 */
public final class CentralSide implements Side.OfCentral {
  private static final String CHECK =
      """
      select s.snapshot, e.text, r.row_hash, case when r.key operator(pg_catalog.<>) e.key then r.key::text end
      from (select pg_catalog.pg_current_snapshot()::text) as s (snapshot)
      left join (
        (select k.text, k.text::jsonb from pg_catalog.unnest(?::text[]) as k (text)) as e (text, key)
        join (%s) as r on %s
      ) on true
      """;

  private final DataSource central;
  private final Mapping mapping;
  private final Pace pace;

  /** Central, for a client with this mapping, which is asked with this pace. */
  CentralSide(DataSource central, Mapping mapping, Pace pace) {
    this.pace = pace;
    this.central = central;
    this.mapping = mapping;
  }

  @Override
  public List<Uncomputed> prepare(Comparison comparison) throws SQLException {
    try (Session session = open()) {
      Connection connection = session.connection();
      CentralTypes types = CentralTypes.of(connection, comparison);
      session.useSearchPathOfLogin();
      List<Uncomputed> failures = new ArrayList<>();
      if (!comparison.columns().isEmpty() && failure(connection, comparison, types).isEmpty()) {
        return failures;
      }
      for (Column column : comparison.columns()) {
        Set<String> others = new HashSet<>();
        comparison.columns().forEach(other -> others.add(other.name()));
        others.remove(column.name());
        String failure = failure(connection, comparison.without(others), types);
        if (!failure.isEmpty()) {
          failures.add(new Uncomputed(column.name(), failure));
        }
      }
      return failures;
    }
  }

  /** Why rows can't be computed; empty: they can. */
  private String failure(Connection connection, Comparison comparison, CentralTypes types)
      throws SQLException {
    Savepoint before = connection.setSavepoint();
    try {
      Sql rows = rows(comparison, types).in(List.of(), 0, Parts.ALL);
      Sql.join("select row_hash from (%s) as r limit 0", rows).each(connection, row -> {});
      return "";
    } catch (SQLException e) {
      if (e.getSQLState() == null || !e.getSQLState().startsWith("42")) {
        throw e;
      }
      connection.rollback(before);
      return e instanceof PSQLException told && told.getServerErrorMessage() != null
          ? told.getServerErrorMessage().getMessage()
          : e.getMessage();
    }
  }

  @Override
  public DigestPart digest(Comparison comparison, Scope scope, long from)
      throws SQLException, Fault {
    PartialDigest digest = new PartialDigest(scope);
    Block block = each(comparison, scope, from, digest::add);
    return new DigestPart(digest.digest(), block, DigestPart.UNKNOWN);
  }

  @Override
  public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
      throws SQLException, Fault {
    return each(
        comparison,
        scope,
        from,
        (connection, piece) -> Buckets.list(connection, scope, piece, each));
  }

  /**
   * Reads a part piece by piece, each in a session of its own: the clients share the connections to
   * central, so that none may be kept during a rest.
   *
   * @return where the next part begins
   */
  private Block each(Comparison comparison, Scope scope, long from, Buckets.Reading reading)
      throws SQLException, Fault {
    Part part = part(comparison, scope, from);
    for (Sql piece : part.pieces) {
      pace.ask(
          () -> {
            try (Session session = open()) {
              session.useIndex(part.needIndex);
              session.useSearchPathOfLogin();
              reading.read(session.connection(), piece);
            }
          });
    }
    return part.block;
  }

  @Override
  public CentralRows check(Comparison comparison, Scope scope, List<String> keys)
      throws SQLException {
    try (Session session = open()) {
      Connection connection = session.connection();
      CentralTypes types = CentralTypes.of(connection, comparison);
      MappedRows rows = rows(comparison, types);
      List<String> omitted = rows.omitted(connection, scope.omit());
      session.useSearchPathOfLogin();
      Map<String, CentralRows.Row> found = new HashMap<>();
      List<String> snapshot = new ArrayList<>();
      Sql mapped = rows.in(omitted, scope.seed(), Parts.ALL);
      List<Object> parameters = new ArrayList<>(List.of((Object) keys));
      parameters.addAll(mapped.parameters());
      new Sql(CHECK.formatted(mapped.text(), rows.haveKey("e.key")), parameters)
          .each(
              connection,
              row -> {
                snapshot.add(row.getString(1));
                if (row.getString(2) != null) {
                  String spelled = row.getString(4);
                  found.put(
                      row.getString(2),
                      new CentralRows.Row(row.getLong(3), spelled == null ? "" : spelled));
                }
              });
      return new CentralRows(snapshot.get(0), found);
    }
  }

  private Part part(Comparison comparison, Scope scope, long from) throws SQLException {
    try (Session session = open()) {
      Connection connection = session.connection();
      MappedRows rows = rows(comparison, CentralTypes.of(connection, comparison));
      List<String> omitted = rows.omitted(connection, scope.omit());
      Parts parts = rows.parts(connection, scope, from, pace.blocks().ofPart());
      return new Part(
          parts.pieces(pace.blocks().atOnce()).stream()
              .map(piece -> rows.in(omitted, scope.seed(), piece))
              .toList(),
          parts.needIndex(),
          parts.block());
    }
  }

  private MappedRows rows(Comparison comparison, CentralTypes types) throws SQLException {
    Target target = mapping.targets().get(comparison.number());
    return new MappedRows(comparison, target, types);
  }

  /** Row security raises instead of hiding rows. */
  private Session open() throws SQLException {
    Session session = new Session(central);
    session.set("row_security", "off");
    return session;
  }

  private record Part(List<Sql> pieces, boolean needIndex, Block block) {}
}
