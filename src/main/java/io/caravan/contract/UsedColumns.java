package io.caravan.contract;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Fault;
import io.caravan.Json;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * Which columns of its sources a mapping may use.
 *
 * @param texts source to all that the mapping says of it, the expressions among it
 */
public record UsedColumns(Map<String, String> texts) {

  /** A client's mapping, which is a JSON array of targets. */
  public static UsedColumns of(String mapping) throws Fault {
    Map<String, String> texts = new LinkedHashMap<>();
    try {
      for (JsonNode target : Json.read(mapping)) {
        StringBuilder text = new StringBuilder();
        collect(target, text);
        texts.merge(target.path("source").asText(), text.toString(), String::concat);
      }
    } catch (JsonProcessingException e) {
      throw new Fault(
          Fault.MAPPING,
          "line %d of the mapping is not JSON: %s"
              .formatted(e.getLocation().getLineNr(), e.getOriginalMessage()));
    }
    return new UsedColumns(texts);
  }

  /** The sources, in the order in which the mapping names them. */
  public Set<String> sources() {
    return texts.keySet();
  }

  /**
   * Which columns of a source the mapping may use: all that it names anywhere, in whatever case. It
   * may be more than it needs, and is never less.
   */
  public List<String> uses(String source, Collection<String> columns) {
    String text = texts.get(source);
    if (text.contains("source_row") || text.toLowerCase(Locale.ROOT).contains("u&\"")) {
      return List.copyOf(columns); // a whole row, or names that are written otherwise
    }
    return columns.stream().filter(column -> names(text, column)).toList();
  }

  /** Whether a text may name a column. */
  static boolean names(String text, String column) {
    String quoted = column.replace("\"", "\"\"");
    return text.contains(quoted)
        || text.toLowerCase(Locale.ROOT).contains(quoted.toLowerCase(Locale.ROOT));
  }

  /** The texts of a value, and the names of its properties. */
  static void collect(JsonNode value, StringBuilder texts) {
    value
        .properties()
        .forEach(
            property -> {
              texts.append(property.getKey()).append('\n');
              collect(property.getValue(), texts);
            });
    if (value.isArray()) {
      value.forEach(element -> collect(element, texts));
    } else if (value.isValueNode()) {
      texts.append(value.asText()).append('\n');
    }
  }
}
