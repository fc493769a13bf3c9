package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.caravan.Fault;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * How sources become tables of a client, as the client's file says it. Nothing of it has been held
 * against a database yet.
 *
 * @param targets in the order of the file
 */
public record Mapping(List<Target> targets) {
  private static final String HINT = "Mend the mapping in the client's file.";
  private static final Set<String> KNOWN =
      Set.of("source", "table", "key", "columns", "where", "rows");
  private static final ObjectMapper JSON =
      JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

  /**
   * Reads a mapping.
   *
   * @param json an array of targets; docs/mapping.md describes them
   * @throws Fault if it can't be one
   */
  public static Mapping parse(String json) throws Fault {
    JsonNode list;
    try {
      list = JSON.readTree(json);
    } catch (JsonProcessingException e) {
      throw fault(
          "line %d of the mapping is not JSON: %s"
              .formatted(e.getLocation().getLineNr(), e.getOriginalMessage()),
          HINT);
    }
    if (!list.isArray() || list.isEmpty()) {
      throw fault("the mapping is not a JSON array of targets", HINT);
    }
    List<Target> targets = new ArrayList<>();
    for (JsonNode target : list) {
      targets.add(target(target));
    }
    return new Mapping(List.copyOf(targets));
  }

  /** The sources that are mapped, each once, in the order of the file. */
  public Set<String> sources() {
    Set<String> sources = new LinkedHashSet<>();
    targets.forEach(target -> sources.add(target.source()));
    return sources;
  }

  /** The tables that are written to, each once, as the file names them. */
  public Set<String> tables() {
    Set<String> tables = new LinkedHashSet<>();
    targets.forEach(target -> tables.add(target.table()));
    return tables;
  }

  private static Target target(JsonNode json) throws Fault {
    for (String name : (Iterable<String>) json::fieldNames) {
      if (!KNOWN.contains(name)) {
        throw fault("a target has an unknown \"" + name + "\"", "It may have " + KNOWN + ".");
      }
    }
    String source = text(json, "source");
    String table = text(json, "table");
    Map<String, String> key = texts(json, "key");
    if (key.isEmpty()) {
      throw fault("mapping of " + source + " to " + table + " has no \"key\"", HINT);
    }
    String rows = json.path("rows").asText("shared");
    if (!rows.equals("shared") && !rows.equals("central")) {
      throw fault(
          "mapping of " + source + " to " + table + ": \"rows\" is " + rows,
          "It is \"shared\" or \"central\".");
    }
    return new Target(
        source,
        table,
        key,
        texts(json, "columns"),
        json.has("where") ? text(json, "where") : "",
        rows.equals("central"));
  }

  private static Fault fault(String what, String hint) {
    return new Fault(Fault.MAPPING, what + ". " + hint);
  }

  private static String text(JsonNode json, String name) throws Fault {
    if (!json.path(name).isTextual()) {
      throw fault("a target has no text for \"" + name + "\"", HINT);
    }
    return json.get(name).asText();
  }

  private static Map<String, String> texts(JsonNode json, String name) throws Fault {
    Map<String, String> texts = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> entry : json.path(name).properties()) {
      if (!entry.getValue().isTextual()) {
        throw fault("\"" + entry.getKey() + "\" in \"" + name + "\" of a target is no text", HINT);
      }
      texts.put(entry.getKey(), entry.getValue().asText());
    }
    return Collections.unmodifiableMap(texts);
  }
}
