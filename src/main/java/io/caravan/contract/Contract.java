package io.caravan.contract;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaException;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SchemaValidatorsConfig;
import com.networknt.schema.SpecVersion.VersionFlag;
import com.networknt.schema.ValidationMessage;
import io.caravan.Json;
import io.caravan.apply.Change;
import io.caravan.apply.PageText;
import io.caravan.apply.Refusal;
import io.caravan.client.Source;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Pattern;

/**
 * What the rows of a source must look like: a JSON schema in a file that has the source's name, for
 * instance {@code public.users.schema.json}. Each value of a row is a string, PostgreSQL's text
 * form of it, or null.
 */
public final class Contract {
  private static final String SUFFIX = ".schema.json";
  private static final SchemaValidatorsConfig CONFIG =
      SchemaValidatorsConfig.builder().formatAssertionsEnabled(true).build();

  // These look at properties that they do not name, or are elsewhere.
  private static final Pattern UNNAMED =
      Pattern.compile("Properties\"|\"propertyNames\"|\"\\$(ref|dynamicRef)\"");

  private final Map<String, JsonSchema> schemas = new HashMap<>();

  /**
   * Reads all schemas of a folder.
   *
   * @param folder its path; empty: there are none
   * @throws IOException if one of them cannot be read
   * @throws IllegalArgumentException if one of them is no JSON schema
   */
  public void setFolder(String folder) throws IOException {
    if (folder.isEmpty()) {
      return;
    }
    JsonSchemaFactory factory = JsonSchemaFactory.getInstance(VersionFlag.V202012);
    try (DirectoryStream<Path> files = Files.newDirectoryStream(Path.of(folder), "*" + SUFFIX)) {
      for (Path file : files) {
        String name = file.getFileName().toString();
        try {
          schemas.put(
              name.substring(0, name.length() - SUFFIX.length()),
              factory.getSchema(Files.readString(file), CONFIG));
        } catch (JsonSchemaException e) {
          throw new IllegalArgumentException(file + " is no JSON schema: " + e.getMessage(), e);
        }
      }
    }
  }

  /** Which columns of a source its contract may look at. */
  List<String> uses(String source, Collection<String> columns) {
    if (!schemas.containsKey(source)) {
      return List.of();
    }
    JsonNode schema = schemas.get(source).getSchemaNode();
    if (UNNAMED.matcher(schema.toString()).find()) {
      return List.copyOf(columns);
    }
    StringBuilder texts = new StringBuilder();
    UsedColumns.collect(schema, texts);
    return columns.stream().filter(column -> texts.indexOf(column) >= 0).toList();
  }

  /**
   * The changes of a page that break the contract of their source. A page is looked into only if
   * one of its sources has a contract.
   *
   * @param text its JSON
   */
  public List<Refusal> breaches(PageText page, String text) throws IOException {
    List<Refusal> breaches = new ArrayList<>();
    for (Map.Entry<String, Source> source : page.sources().entrySet()) {
      if (schemas.containsKey(source.getKey())) {
        List<String> columns = List.copyOf(source.getValue().columns().keySet());
        for (JsonNode change : Json.read(text).path("changes").path(source.getKey())) {
          check(source.getKey(), columns, change, breaches);
        }
      }
    }
    return breaches;
  }

  /** A change is its key and the values of the columns, or only a key that is gone. */
  private void check(String source, List<String> columns, JsonNode change, List<Refusal> breaches) {
    if (change.size() > 1) {
      ObjectNode row = JsonNodeFactory.instance.objectNode();
      columns.forEach(name -> row.set(name, change.get(1 + row.size())));
      TreeSet<String> rules = new TreeSet<>();
      for (ValidationMessage broken : schemas.get(source).validate(row)) {
        rules.add(rule(broken));
      }
      if (!rules.isEmpty()) {
        breaches.add(
            new Refusal(
                new Change(source, change.get(0).toString(), "", false),
                "CV004",
                "breaks the contract: " + String.join("; ", rules)));
      }
    }
  }

  /** The property and the rule, and never the value. */
  private static String rule(ValidationMessage broken) {
    String property =
        broken.getProperty() == null
            ? broken.getInstanceLocation().getName(-1)
            : broken.getProperty();
    return property + " " + broken.getType();
  }
}
