package io.caravan.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import io.caravan.Fault;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.camel.Body;

/** The mappings as the clients' files have them, in YAML or JSON. The hub takes them as JSON. */
public final class Mappings {
  // A column named "y" or "no" is one, though YAML may take it for true or false.
  private static final ObjectMapper YAML =
      YAMLMapper.builder()
          .enable(YAMLParser.Feature.PARSE_BOOLEAN_LIKE_WORDS_AS_STRINGS)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private final Map<String, String> known = new ConcurrentHashMap<>();

  /**
   * A mapping as JSON.
   *
   * @param text a list of targets; docs/mapping.md describes them. What begins with a bracket is
   *     JSON already, and is left as it is
   * @throws Fault if it is neither
   */
  public String json(@Body String text) throws Fault {
    if (text.stripLeading().startsWith("[")) {
      return text;
    }
    String json = known.get(text);
    if (json == null) {
      json = converted(text);
      known.put(text, json);
    }
    return json;
  }

  private static String converted(String yaml) throws Fault {
    try {
      return YAML.readTree(yaml).toString();
    } catch (JsonProcessingException e) {
      throw new Fault(
          Fault.MAPPING,
          "line %d of the mapping is neither YAML nor JSON: %s. Mend the mapping in the client's file."
              .formatted(
                  e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                  e.getOriginalMessage().replaceAll("\\s+", " ")));
    }
  }
}
