package io.caravan.apply;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.caravan.Cause;
import io.caravan.CentralFailure;
import io.caravan.Fault;
import io.caravan.Replies;
import io.caravan.client.ClientTables;
import io.caravan.client.Plan;
import io.caravan.client.Position;
import io.caravan.client.Source;
import io.caravan.client.Statements;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.Exchange;
import org.apache.camel.ExchangeException;
import org.apache.camel.Header;
import org.apache.camel.Headers;
import org.apache.camel.Produce;
import org.apache.camel.ProducerTemplate;
import org.apache.camel.component.jdbc.JdbcConstants;
import org.slf4j.LoggerFactory;

/**
 * Applies pages to clients: with one statement, which is a transaction of its own, and where the
 * client refuses that for the data's sake, with as many as it takes to refuse no more than must be.
 */
public final class Applying implements CamelContextAware {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String NOTHING = "[]";
  private static final String REWRITTEN = "CV006";
  private static final int LARGER = 10;
  private static final int MOST_ROWS = 100_000;

  private final Map<String, Plan> plans = new ConcurrentHashMap<>();
  private final ClientTables tables = new ClientTables();
  private CamelContext context;
  private Replies replies = new Replies();
  private boolean showsMessages;

  @Produce("direct:store-dead-letters?timeout=1000")
  private ProducerTemplate deadLetters;

  /** Checks what clients say. */
  public void setReplies(Replies replies) {
    this.replies = replies;
  }

  /** Whether dead letters have the database's own message, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * Where a client stands; holds its mapping against its tables, and makes ours.
   *
   * @param mapping as JSON
   * @return its step, its cursor (null: it has none yet), the sources that it maps with a
   *     fingerprint each, as {@code caravan.read} takes them, and whether a page was applied within
   *     the last seconds
   * @throws Fault if the mapping does not fit, or the cursor is none
   * @throws CentralFailure if central can't be asked for the columns of the sources
   */
  public Map<String, Object> stand(
      @Header("client") String client, @Header("mapping") String mapping)
      throws SQLException, Fault, CentralFailure {
    Map<String, Source> described = replies.described(mapping);
    try (Connection connection = connections(client).open()) {
      tables.ensure(connection, client);
      Position position = Position.of(connection, client, mapping);
      Plan plan = plans.merge(client, position.plan(), (old, now) -> old.fits(now) ? old : now);
      plan.check(connection, described);
      Map<String, Object> row = new HashMap<>();
      row.put("step", position.step());
      row.put("cursor", replies.cursor(position.cursor(), position.plan().sources()));
      row.put("sources", replies.wanted(position.sources(), described));
      row.put("recent", position.isRecent());
      return row;
    } catch (SQLException e) {
      tables.doubt(client);
      throw e;
    }
  }

  /**
   * Makes the message the statement with which a page is applied.
   *
   * @param skipped changes that are left out, [{"source", "key", …}]
   * @param headers {@code isOne} is set to whether one statement will do
   */
  public String begin(
      @Header("client") String client,
      @Header("step") long step,
      @Header("page") String page,
      @Header("skipped") String skipped,
      @Headers Map<String, Object> headers)
      throws SQLException, Fault {
    PageText text = new PageText(page);
    Statements statements = plan(client).statements(connections(client), text.sources());
    boolean isOne = skipped.equals(NOTHING) && text.cleared().isEmpty() && !statements.areMixed();
    headers.put("isOne", isOne);
    headers.put("refused", NOTHING);
    headers.put(
        JdbcConstants.JDBC_PARAMETERS, List.of(text.cursor(), client, step, text.changes()));
    return isOne ? statements.page(text.gone()) : "";
  }

  /**
   * One statement has run; sets {@code outcome} to applied, or to stale if the client stands
   * elsewhere and nothing was written.
   *
   * @throws SQLException if nothing was written because a table is no longer what it was; applied
   *     carefully, the page fits it
   */
  public void ran(
      @Header("client") String client, Exchange exchange, @Headers Map<String, Object> headers)
      throws SQLException, Fault {
    headers.remove(JdbcConstants.JDBC_PARAMETERS);
    Map<?, ?> row = exchange.getMessage().getBody(Map.class);
    if (!Boolean.TRUE.equals(row.get("fits"))) {
      throw new SQLException("a table was rewritten", REWRITTEN);
    }
    headers.put("outcome", row.get("step") == null ? "stale" : "applied");
    if (row.get("step") != null) {
      row.forEach((name, value) -> headers.put((String) name, value));
      headers.put("cursor", replies.cursor((String) row.get("cursor"), plan(client).sources()));
    }
  }

  /**
   * One statement has failed.
   *
   * @param headers {@code isOne} is set to false, where the client refuses it for the sake of some
   *     rows
   * @throws SQLException any other error, as it is
   */
  public void failed(@ExchangeException SQLException error, @Headers Map<String, Object> headers)
      throws SQLException {
    if (!RowErrors.isOfARow(error)) {
      throw error;
    }
    headers.put("isOne", false);
  }

  /**
   * Applies a page in a transaction of several statements. What is refused becomes dead letters
   * before the transaction ends.
   *
   * @param mapping as JSON; it is held against the tables anew, which may have changed
   * @param skipped changes that are left out, [{"source", "key", …}]
   * @param pageRows how many changes the page has at most
   * @param pageBytes after how many bytes it takes no further row
   * @param headers {@code outcome} is set to applied, to stale, or to enlarged: many rows depend on
   *     others, which may be in the pages that follow, so nothing was written, and the page is to
   *     be read again with more rows; and {@code refused} to what is refused, as {@code
   *     caravan.bury} takes it
   */
  public void carefully(
      @Header("client") String client,
      @Header("step") long step,
      @Header("mapping") String mapping,
      @Header("page") String page,
      @Header("skipped") String skipped,
      @Header("pageRows") int pageRows,
      @Header("pageBytes") int pageBytes,
      @Headers Map<String, Object> headers)
      throws SQLException, Fault, CentralFailure, JsonProcessingException {
    headers.remove(JdbcConstants.JDBC_PARAMETERS);
    PageText text = new PageText(page);
    stand(client, mapping);
    Statements statements = plan(client).statements(connections(client), text.sources());
    try (Connection connection = connections(client).open()) {
      connection.setAutoCommit(false);
      PageTransaction transaction =
          new PageTransaction(connection, statements, text.gone(), this::words);
      Optional<String> cursor = transaction.standsAt(client, step);
      if (cursor.isEmpty()) {
        connection.rollback();
        headers.put("outcome", "stale");
        return;
      }
      Optional<List<Refusal>> result =
          transaction.apply(
              text.cleared(), without(text.list(), skipped), text.others(pageRows < MOST_ROWS));
      if (result.isEmpty()) {
        connection.rollback();
        headers.put("outcome", "enlarged");
        headers.put("cursor", replies.cursor(cursor.get(), plan(client).sources()));
        headers.put("pageRows", larger(pageRows));
        headers.put("pageBytes", larger(pageBytes));
        return;
      }
      List<Refusal> refused = result.get();
      List<Refusal> rows = refused.stream().filter(r -> !r.change().key().equals("null")).toList();
      headers.put("refused", json(rows));
      if (!rows.isEmpty()) {
        store(client, rows, headers);
      }
      PageTransaction.Applied applied =
          transaction.move(client, text.cursor(), sweep(refused, text, plan(client)));
      connection.commit();
      headers.put("outcome", "applied");
      headers.put("step", applied.step());
      headers.put("cursor", replies.cursor(applied.cursor(), plan(client).sources()));
      headers.put("written", applied.written());
      headers.put("removed", applied.removed());
    }
  }

  private void store(String client, List<Refusal> refused, Map<String, Object> headers)
      throws CentralFailure {
    headers.put("refusals", refused.size());
    Exchange answer =
        deadLetters.send(exchange -> exchange.getMessage().setHeaders(new HashMap<>(headers)));
    if (answer.getException() != null) {
      throw new CentralFailure(answer.getException());
    }
    Refusal first = refused.get(0);
    LoggerFactory.getLogger("caravan." + client)
        .warn(
            "{} refused: {} {} {}",
            refused.size(),
            first.change().source(),
            first.change().key(),
            first.message());
  }

  /**
   * A source that can't be cleared is swept: its rows go one by one, then those of later sources.
   */
  private static String sweep(List<Refusal> refused, PageText text, Plan plan) {
    ObjectNode besides = JSON.createObjectNode();
    Set<String> uncleared = new HashSet<>();
    refused.stream()
        .map(Refusal::change)
        .filter(change -> change.key().equals("null"))
        .forEach(change -> uncleared.add(change.source()));
    plan.sources().stream()
        .filter(uncleared::contains)
        .findFirst()
        .ifPresent(
            source -> {
              ObjectNode sweep = besides.putObject("sweep");
              sweep.put("source", source);
              ArrayNode key = sweep.putArray("key");
              text.sources().get(source).key().forEach(key::add);
              sweep.put("target", 0);
              sweep.putNull("after");
              sweep.put("confirmed", true);
            });
    return besides.toString();
  }

  private static List<Change> without(List<Change> changes, String skipped)
      throws JsonProcessingException {
    if (skipped.equals(NOTHING)) {
      return changes;
    }
    Set<String> names = new HashSet<>();
    JSON.readTree(skipped)
        .forEach(breach -> names.add(breach.path("source").asText() + " " + breach.path("key")));
    return changes.stream().filter(change -> !names.contains(name(change))).toList();
  }

  private static String name(Change change) {
    try {
      return change.source() + " " + JSON.readTree(change.key());
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }

  private static String json(List<Refusal> refusals) throws JsonProcessingException {
    ArrayNode list = JSON.createArrayNode();
    for (Refusal refusal : refusals) {
      list.addObject()
          .put("source", refusal.change().source())
          .put("sqlstate", refusal.sqlState())
          .put("message", refusal.message())
          .putRawValue(
              "key", new com.fasterxml.jackson.databind.util.RawValue(refusal.change().key()));
    }
    return list.toString();
  }

  private static int larger(int bound) {
    return (int) Math.min((long) bound * LARGER, Integer.MAX_VALUE);
  }

  private String words(SQLException error) {
    return Cause.of(error, showsMessages).message();
  }

  private Plan plan(String client) {
    return plans.get(client);
  }

  private Plan.Connections connections(String client) {
    return context.getRegistry().lookupByNameAndType(client, DataSource.class)::getConnection;
  }
}
