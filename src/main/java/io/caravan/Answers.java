package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Pattern;
import org.apache.camel.Body;
import org.apache.camel.Header;

/**
 * What a client's database answers. It may belong to somebody else, and nothing that it says
 * decides what it gets or reaches another client: it tells its step and its cursor, in which order
 * its sources come, and which of the changes that it was sent it refuses.
 */
public final class Answers {
  private static final Pattern FINGERPRINT = Pattern.compile("[0-9a-zA-Z]{0,64}");
  private static final Pattern SQL_STATE = Pattern.compile("[0-9A-Z]{5}");

  private Sources sources = new Sources();
  private Contract contract = new Contract();
  private boolean showsMessages;

  /** Knows the columns of the sources. */
  public void setSources(Sources sources) {
    this.sources = sources;
  }

  /** Knows which columns the contract of a source needs. */
  public void setContract(Contract contract) {
    this.contract = contract;
  }

  /** Whether dead letters have the database's own message, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  /** A client is about to be asked by its mapping: that has to be one. */
  public void expect(@Header("mapping") String mapping) throws Fault {
    Mapping.of(mapping);
  }

  /**
   * A client has told where it stands.
   *
   * @param row as {@code caravan.standing} returns it
   * @return the same, checked; the sources are those of the mapping, each with the columns that it
   *     uses unless it uses all
   * @throws Fault if the mapping or the answer is none
   * @throws CentralFailure if central can't be asked for the columns
   */
  public Map<String, Object> standing(
      @Body Map<String, Object> row, @Header("mapping") String mapping)
      throws Fault, CentralFailure {
    Mapping wanted = Mapping.of(mapping);
    Map<String, Object> checked = new HashMap<>();
    checked.put("step", number(row, "step"));
    checked.put("recent", Boolean.TRUE.equals(row.get("recent")));
    checked.put(
        "cursor",
        row.get("cursor") == null ? null : Cursor.checked(text(row, "cursor"), wanted.sources()));
    checked.put("sources", sources(wanted, text(row, "sources")));
    return checked;
  }

  /**
   * A client was sent a page.
   *
   * @param row as {@code caravan.apply} returns it
   * @return the same, checked
   * @throws Fault if the answer is none, or refuses what was not sent
   */
  public Map<String, Object> applied(
      @Body Map<String, Object> row,
      @Header("mapping") String mapping,
      @Header("page") String page,
      @Header("settled") String settled)
      throws Fault {
    String outcome = text(row, "outcome");
    Map<String, Object> checked = new HashMap<>();
    checked.put("outcome", outcome);
    switch (outcome) {
      case "applied" -> {
        checked.put("step", number(row, "step"));
        checked.put("cursor", Cursor.checked(text(row, "cursor"), Mapping.of(mapping).sources()));
        checked.put("written", number(row, "written"));
        checked.put("removed", number(row, "removed"));
        checked.put("refused", refused(text(row, "refused"), page));
      }
      case "refused" -> {
        String refused = refused(text(row, "refused"), page);
        if (keys(parsed(settled)).containsAll(keys(parsed(refused)))) {
          throw new Fault(Fault.ANSWER, "it refuses again what was settled");
        }
        checked.put("refused", refused);
      }
      case "stale" -> {
        // Somebody else has moved its cursor: the pump ends.
      }
      default -> throw new Fault(Fault.ANSWER, "its answer to a page is none");
    }
    return checked;
  }

  /** The mapping's sources, in the client's order as far as it names them. */
  private String sources(Mapping wanted, String told) throws Fault, CentralFailure {
    Map<String, String> fingerprints = new HashMap<>();
    Set<String> order = new LinkedHashSet<>();
    for (JsonNode source : parsed(told)) {
      String name = source.path("source").asText();
      String fingerprint = source.path("fingerprint").asText();
      if (wanted.sources().contains(name) && FINGERPRINT.matcher(fingerprint).matches()) {
        order.add(name);
        fingerprints.put(name, fingerprint);
      }
    }
    order.addAll(wanted.sources());
    ArrayNode all = JsonNodeFactory.instance.arrayNode();
    for (String name : order) {
      ObjectNode source = all.addObject();
      source.put("source", name).put("fingerprint", fingerprints.getOrDefault(name, ""));
      used(wanted, name).ifPresent(columns -> columns.forEach(source.putArray("columns")::add));
    }
    return all.toString();
  }

  /** The columns of a source that the mapping or the contract uses; empty where it is all. */
  private Optional<List<String>> used(Mapping wanted, String source) throws CentralFailure {
    try {
      List<String> columns = sources.columns(source);
      Set<String> used = new LinkedHashSet<>(wanted.uses(source, columns));
      used.addAll(contract.uses(source, columns));
      return used.containsAll(columns)
          ? Optional.empty()
          : Optional.of(columns.stream().filter(used::contains).toList());
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }

  /** What a client refuses of a page, rewritten: it can't name what it was not sent. */
  private String refused(String told, String page) throws Fault {
    JsonNode refusals = parsed(told);
    if (refusals.isEmpty()) {
      return "[]";
    }
    JsonNode changes = parsed(page).path("changes");
    Map<String, Set<JsonNode>> sent = new HashMap<>();
    ArrayNode checked = JsonNodeFactory.instance.arrayNode();
    for (JsonNode refusal : refusals) {
      String source = refusal.path("source").asText();
      JsonNode key = refusal.path("key");
      if (!sent.computeIfAbsent(source, name -> firsts(changes.path(name))).contains(key)) {
        throw new Fault(Fault.ANSWER, "it refuses what it was not sent");
      }
      String sqlState = refusal.path("sqlstate").asText();
      if (!SQL_STATE.matcher(sqlState).matches()) {
        throw new Fault(Fault.ANSWER, "it refuses without an SQLSTATE");
      }
      checked
          .addObject()
          .put("source", source)
          .put("sqlstate", sqlState)
          .put("message", message(sqlState, refusal))
          .set("key", key);
    }
    return checked.toString();
  }

  private String message(String sqlState, JsonNode refusal) {
    return showsMessages
        ? refusal.path("message").asText()
        : new Names(
                refusal.path("schema").asText(),
                refusal.path("table").asText(),
                refusal.path("column").asText(),
                refusal.path("constraint").asText())
            .say(sqlState);
  }

  private static Set<JsonNode> keys(JsonNode refusals) {
    Set<JsonNode> keys = new HashSet<>();
    for (JsonNode refusal : refusals) {
      keys.add(
          JsonNodeFactory.instance.arrayNode().add(refusal.get("source")).add(refusal.get("key")));
    }
    return keys;
  }

  private static Set<JsonNode> firsts(JsonNode changes) {
    Set<JsonNode> keys = new HashSet<>();
    changes.forEach(change -> keys.add(change.path(0)));
    return keys;
  }

  private static JsonNode parsed(String text) throws Fault {
    try {
      return Json.read(text);
    } catch (JsonProcessingException e) {
      throw new Fault(Fault.ANSWER, "its answer is not JSON");
    }
  }

  private static String text(Map<String, Object> row, String column) throws Fault {
    if (row.get(column) instanceof String text) {
      return text;
    }
    throw new Fault(Fault.ANSWER, "its answer has no " + column);
  }

  private static long number(Map<String, Object> row, String column) throws Fault {
    if (row.get(column) instanceof Long number) {
      return number;
    }
    throw new Fault(Fault.ANSWER, "its answer has no " + column);
  }
}
