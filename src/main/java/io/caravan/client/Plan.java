package io.caravan.client;

import io.caravan.Fault;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.postgresql.util.PSQLException;

/**
 * A mapping that was held against its client's tables, and what follows from both: it holds until
 * the tables change. Statements are made once for each shape of page.
 */
public final class Plan {
  private final Mapping mapping;
  private final Catalog catalog;
  private final List<Target> targets;
  private final Map<Target, Long> numbers;
  private final Map<Map<String, Source>, Statements> statements = new HashMap<>();
  private Map<String, Source> checked = Map.of();

  private Plan(Mapping mapping, Catalog catalog, List<Target> targets, Map<Target, Long> numbers) {
    this.mapping = mapping;
    this.catalog = catalog;
    this.targets = targets;
    this.numbers = numbers;
  }

  /**
   * Reads what the client's database has, and checks the mapping.
   *
   * @throws Fault if they don't fit
   */
  public static Plan read(Connection connection, String client, Mapping mapping)
      throws SQLException, Fault {
    Catalog catalog = Catalog.read(connection, mapping.tables());
    MappingCheck check = new MappingCheck(mapping, catalog);
    check.check();
    return new Plan(mapping, catalog, check.parentsFirst(), TargetNumber.of(client, mapping));
  }

  /** The mapping that it is for. */
  public Mapping mapping() {
    return mapping;
  }

  /** The sources, each once, in the order in which they are to be loaded: parents first. */
  public Set<String> sources() {
    Set<String> sources = new LinkedHashSet<>();
    for (Target target : targets) {
      sources.remove(target.source()); // one that fills a child comes late, whatever else it fills
      sources.add(target.source());
    }
    return sources;
  }

  /** The other sources that fill a table of this one. */
  public List<String> siblings(String source) {
    Set<Long> filled = new HashSet<>();
    targets.stream().filter(t -> t.source().equals(source)).forEach(t -> filled.add(id(t)));
    return targets.stream()
        .filter(t -> !t.source().equals(source) && filled.contains(id(t)))
        .map(Target::source)
        .distinct()
        .toList();
  }

  private long id(Target target) {
    return catalog.tables().get(target.table()).id();
  }

  /** The ids of the tables, by the names that the mapping gives them. */
  public Map<String, Long> tables() {
    Map<String, Long> ids = new HashMap<>();
    catalog.tables().forEach((name, table) -> ids.put(name, table.id()));
    return ids;
  }

  /** Whether another plan is the same: what was made for this one holds for it, too. */
  public boolean fits(Plan other) {
    return mapping.equals(other.mapping)
        && catalog.equals(other.catalog)
        && numbers.equals(other.numbers);
  }

  /**
   * Has the client's database read the statements for these sources, so that an expression that it
   * can't compute is found though nothing changes.
   *
   * @param sources as a page describes them
   * @throws SQLException if a statement is none
   * @throws Fault if the mapping does not fit the sources
   */
  public synchronized void check(Connection connection, Map<String, Source> sources)
      throws SQLException, Fault {
    if (!sources.equals(checked)) {
      Statements made = make(connection, sources);
      for (Target target : made.targets()) {
        try (PreparedStatement statement = connection.prepareStatement(made.upsert(target))) {
          // This has the server parse the statement. Other ways would leave it prepared in the
          // session, which a pooler may give to somebody else.
          statement.getParameterMetaData().getParameterType(1);
        } catch (SQLException e) {
          throw titled(target, e);
        }
      }
      statements.put(sources, made);
      checked = sources;
    }
  }

  private static SQLException titled(Target target, SQLException error) {
    String text = error.getMessage();
    if (error instanceof PSQLException fromServer && fromServer.getServerErrorMessage() != null) {
      text = fromServer.getServerErrorMessage().getMessage();
    }
    SQLException titled =
        new SQLException(target.title() + ": " + text, error.getSQLState(), error.getErrorCode());
    titled.addSuppressed(error);
    return titled;
  }

  /**
   * The statements for pages of these sources.
   *
   * @param sources as a page describes them
   * @throws Fault if the mapping does not fit them
   */
  public synchronized Statements statements(Connections client, Map<String, Source> sources)
      throws SQLException, Fault {
    Statements known = statements.get(sources);
    if (known == null) {
      try (Connection connection = client.open()) {
        known = make(connection, sources);
      }
      statements.put(sources, known);
    }
    return known;
  }

  private Statements make(Connection connection, Map<String, Source> sources)
      throws SQLException, Fault {
    Set<String> named = new LinkedHashSet<>();
    sources.values().forEach(source -> named.addAll(source.columns().values()));
    Map<String, Catalog.Type> types = Catalog.types(connection, named);
    MappingCheck check = new MappingCheck(mapping, catalog);
    for (Target target : targets) {
      if (sources.containsKey(target.source())) {
        check.check(target, sources.get(target.source()), types);
      }
    }
    check.checkKeysOfSiblings(sources, types);
    return new Statements(catalog, targets, numbers, sources, types);
  }

  /** Opens connections to a client. */
  public interface Connections {
    /** A connection, which the caller closes. */
    Connection open() throws SQLException;
  }
}
