package io.caravan.reconcile;

import io.caravan.Fault;
import io.caravan.client.Catalog;
import io.caravan.client.Mapping;
import io.caravan.client.MappingCheck;
import io.caravan.client.NotedKey;
import io.caravan.client.Source;
import io.caravan.client.Table;
import io.caravan.client.Target;
import io.caravan.client.TargetNumber;
import java.sql.Connection;
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

/** A client's answers: statements that the hub brings, with its own rights. */
public final class ClientSide implements Side.OfClient {
  private static final int NOTES_IN_MEMORY = 250_000;
  private static final int NOTES_AT_ONCE = 100_000;

  private static final String CURSOR =
      "(select c.cursor::text from caravan.cursor as c where c.client = ?)";
  private static final String CHECK =
      """
      select s.cursor, e.text, r.row_hash, r.key_text::text, e.is_replicated
      from (select %s as cursor) as s
      left join (
        select k.text, k.text::jsonb as key, exists (
          select from caravan.replicated as o where o.target = ? and o.canonical_key = %s
        ) as is_replicated
        from unnest(?::text[]) as k (text)
      ) as e on true
      left join (%s) as r on %s
      """;
  private static final String ORPHANS =
      """
      with page as materialized (%s)
      select (select count(*) from page), (select p.canonical_key from page as p order by 1 desc limit 1),
        array(select p.key from page as p where not exists (select from %s as t where %s))
      """;
  private static final String NOTES =
      """
      with page as materialized (%s)
      select (select count(*) from page), (select p.canonical_key from page as p order by 1 desc limit 1),
        array(select p.key from page as p order by p.canonical_key)
      """;
  private static final String NOTED =
      """
      select (select count(*) from caravan.replicated as o where o.target = ?) - (
        select count(*)
        from unnest(?::text[]) as k (text)
        join caravan.replicated as o on o.target = ? and o.canonical_key = %s
      )
      """;

  private final DataSource database;
  private final String client;
  private final Mapping mapping;
  private final Map<Target, Long> numbers;
  private final Pace pace;

  /** A client with this mapping, which is asked with this pace. */
  ClientSide(DataSource database, String client, Mapping mapping, Pace pace) {
    this.pace = pace;
    this.database = database;
    this.client = client;
    this.mapping = mapping;
    this.numbers = TargetNumber.of(client, mapping);
  }

  @Override
  public Survey survey(int number, Source source) throws SQLException, Fault {
    Target target = mapping.targets().get(number);
    try (Session session = new Session(database)) {
      Connection connection = session.connection();
      Table table = table(connection, target);
      Set<String> types = Catalog.types(connection, source.columns().values()).keySet();
      Set<String> known = new LinkedHashSet<>(source.columns().keySet());
      known.removeIf(name -> !types.contains(source.columns().get(name)));
      String cursor = Sql.of("select " + CURSOR, client).one(connection, row -> row.getString(1));
      return new Survey(
          cursor == null ? "" : cursor,
          columns(table, target.keyColumns(source.key())),
          columns(table, target.columns().keySet()),
          known);
    }
  }

  @Override
  public DigestPart digest(Comparison comparison, Scope scope, long from)
      throws SQLException, Fault {
    try (Session session = new Session(database)) {
      Connection connection = session.connection();
      HeldRows rows = rows(connection, comparison);
      long noted =
          scope.counts() && from == 0 ? noted(connection, comparison, scope) : DigestPart.UNKNOWN;
      if (scope.replicated()) {
        session.set("work_mem", "64MB");
        return new DigestPart(
            replicatedDigest(connection, scope, rows), new Block(Block.END, 0), noted);
      }
      PartialDigest digest = new PartialDigest(scope);
      Block block = each(session, scope, rows, from, digest::add);
      return new DigestPart(digest.digest(), block, noted);
    }
  }

  /** The rows that came from central, some buckets at a time, for which there is room in memory. */
  private Digest replicatedDigest(Connection connection, Scope scope, HeldRows rows)
      throws SQLException, Fault {
    double notes =
        Sql.of("select reltuples from pg_class where oid = 'caravan.replicated'::regclass")
            .one(connection, row -> row.getDouble(1));
    int atOnce = (int) Math.max((1L << scope.bits()) * (NOTES_IN_MEMORY / Math.max(notes, 1)), 1);
    long count = 0;
    long total = 0;
    List<Long> buckets = new ArrayList<>();
    List<Long> all = scope.within();
    List<String> omitted = rows.omitted(connection, scope.omit());
    for (int i = 0; i < all.size(); i += atOnce) {
      List<Long> some = all.subList(i, Math.min(i + atOnce, all.size()));
      Scope pass =
          new Scope(scope.seed(), scope.bits(), some, scope.more(), true, false, scope.omit());
      PartialDigest part = new PartialDigest(pass);
      pace.ask(() -> part.add(connection, rows.in(omitted, pass, Parts.ALL)));
      Digest digest = part.digest();
      count += digest.rows();
      total ^= digest.total();
      buckets.addAll(digest.buckets());
    }
    return new Digest(count, total, buckets);
  }

  private long noted(Connection connection, Comparison comparison, Scope scope)
      throws SQLException {
    Target target = target(comparison);
    long number = numbers.get(target);
    return target.isCentrals()
        ? DigestPart.UNKNOWN
        : Sql.of(NOTED.formatted(note(comparison)), number, scope.omit(), number)
            .one(connection, row -> row.getLong(1));
  }

  /** How the key k.text is noted. */
  private static String note(Comparison comparison) {
    return NotedKey.of(comparison.sourceKey(), comparison.types(), "k.text::jsonb");
  }

  @Override
  public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
      throws SQLException, Fault {
    try (Session session = new Session(database)) {
      Connection connection = session.connection();
      return each(
          session,
          scope,
          rows(connection, comparison),
          from,
          (reader, piece) -> Buckets.list(reader, scope, piece, each));
    }
  }

  /**
   * Reads a part piece by piece, in one transaction: a client may be far away.
   *
   * @return where the next part begins
   */
  private Block each(
      Session session, Scope scope, HeldRows rows, long from, Buckets.Reading reading)
      throws SQLException, Fault {
    long begun = System.nanoTime();
    Connection connection = session.connection();
    Parts part = rows.parts(connection, scope, from, pace.blocks().ofPart());
    List<String> omitted = rows.omitted(connection, scope.omit());
    session.useIndex(part.needIndex());
    Block block = part.block();
    for (Parts piece : part.pieces(pace.blocks().atOnce())) {
      pace.ask(() -> reading.read(connection, rows.in(omitted, scope, piece)));
      block = piece.block();
      if (Pace.isLong(begun)) {
        break;
      }
    }
    return block;
  }

  @Override
  public ClientRows check(Comparison comparison, Scope scope, List<String> keys)
      throws SQLException, Fault {
    try (Session session = new Session(database)) {
      HeldRows rows = rows(session.connection(), comparison);
      List<String> omitted = rows.omitted(session.connection(), scope.omit());
      Map<String, ClientRows.Row> found = new HashMap<>();
      List<String> cursor = new ArrayList<>();
      Sql.join(
              CHECK,
              // The first of these parameters is the cursor's; the others follow it in the text.
              Sql.of(CURSOR, client, numbers.get(target(comparison)), keys),
              note(comparison),
              rows.in(omitted, ofAll(scope), Parts.ALL),
              rows.haveKey(n -> "r.k" + n, "e.key"))
          .each(
              session.connection(),
              row -> {
                cursor.add(row.getString(1));
                long hash = row.getLong(3);
                OptionalLong known = row.wasNull() ? OptionalLong.empty() : OptionalLong.of(hash);
                if (row.getString(2) != null && (known.isPresent() || row.getBoolean(5))) {
                  String text = row.getString(4);
                  found.put(
                      row.getString(2),
                      new ClientRows.Row(known, text == null ? "" : text, row.getBoolean(5)));
                }
              });
      return new ClientRows(cursor.get(0) == null ? "" : cursor.get(0), found);
    }
  }

  @Override
  public Notes orphans(Comparison comparison, String after) throws SQLException, Fault {
    Target target = target(comparison);
    try (Session session = new Session(database)) {
      HeldRows rows = rows(session.connection(), comparison);
      // Each is looked up, so that this takes no memory.
      session.set("enable_hashjoin", "off");
      session.set("enable_mergejoin", "off");
      return read(
          session,
          ORPHANS,
          page(numbers.get(target), after),
          rows.table().name(),
          rows.haveKey("p.key::jsonb"));
    }
  }

  @Override
  public Notes notes(int number, String after) throws SQLException {
    try (Session session = new Session(database)) {
      return read(session, NOTES, page(numbers.get(mapping.targets().get(number)), after));
    }
  }

  /** The next keys that are noted of a target. */
  private static Sql page(long target, String after) {
    return Sql.join(
        "select o.canonical_key, coalesce(o.spelled, o.canonical_key) as key from caravan.replicated as o where o.target = %s%s order by 1 limit %s",
        Sql.of("?", target),
        after.isEmpty() ? "" : Sql.of(" and o.canonical_key > ?", after),
        Sql.of("?", NOTES_AT_ONCE));
  }

  private static Notes read(Session session, String format, Object... pieces) throws SQLException {
    return Sql.join(format, pieces)
        .one(
            session.connection(),
            row ->
                new Notes(
                    List.of((String[]) row.getArray(3).getArray()),
                    row.getLong(1) == NOTES_AT_ONCE ? row.getString(2) : ""));
  }

  /** The same, whether the client has noted the rows or not. */
  private static Scope ofAll(Scope scope) {
    return new Scope(
        scope.seed(), scope.bits(), scope.within(), scope.more(), false, false, scope.omit());
  }

  private Target target(Comparison comparison) {
    return mapping.targets().get(comparison.number());
  }

  private HeldRows rows(Connection connection, Comparison comparison) throws SQLException, Fault {
    Target target = target(comparison);
    return new HeldRows(comparison, table(connection, target), numbers.get(target));
  }

  /** A table, of which row security may hide nothing: else what differs would seem equal. */
  private static Table table(Connection connection, Target target) throws SQLException, Fault {
    Catalog catalog = Catalog.read(connection, List.of(target.table()));
    new MappingCheck(new Mapping(List.of(target)), catalog).check();
    return catalog.tables().get(target.table());
  }

  private static List<Column> columns(Table table, Iterable<String> names) {
    List<Column> columns = new ArrayList<>();
    for (String name : names) {
      Table.Column column = table.columns().get(name);
      columns.add(
          new Column(name, column.base(), column.modifier(), "SE".contains(column.category())));
    }
    return columns;
  }
}
