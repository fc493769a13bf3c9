package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The files in {@code routes/}, as Camel's own schema and our habits want them. */
class RoutesTest {
  private static final ObjectMapper YAML = new YAMLMapper();
  private static final JsonSchema CAMEL = camelSchema();

  @ParameterizedTest
  @MethodSource("routes")
  void aRouteFileIsValidForCamel(Path file) throws IOException {
    assertThat(CAMEL.validate(YAML.readTree(file.toFile()))).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("kamelets")
  void theTemplateOfAKameletIsValidForCamel(Path file) throws IOException {
    JsonNode from = YAML.readTree(file.toFile()).at("/spec/template/from");
    ArrayNode route = YAML.createArrayNode();
    route.addObject().set("from", from);

    assertThat(from.isObject()).isTrue();
    assertThat(CAMEL.validate(route)).isEmpty();
  }

  @ParameterizedTest
  @MethodSource("routes")
  void everyRouteSaysWhatItDoes(Path file) throws IOException {
    for (JsonNode item : YAML.readTree(file.toFile())) {
      for (String kind : List.of("route", "routeConfiguration")) {
        if (item.has(kind)) {
          assertThat(item.get(kind).path("id").asText()).as("id").matches("[a-z]+(-[a-z]+)*");
          assertThat(item.get(kind).path("description").asText()).as("description").isNotBlank();
        }
      }
    }
  }

  /**
   * Camel 4.17 loads a file once for each of its routes when it reloads, and fails at the second.
   */
  @ParameterizedTest
  @MethodSource("routes")
  void everyRouteHasAFileOfItsOwn(Path file) throws IOException {
    assertThat(YAML.readTree(file.toFile()).findValues("route")).hasSizeLessThanOrEqualTo(1);
  }

  @ParameterizedTest
  @MethodSource("kamelets")
  void everyPropertyOfAKameletIsExplained(Path file) throws IOException {
    JsonNode definition = YAML.readTree(file.toFile()).at("/spec/definition");

    assertThat(definition.path("title").asText()).isNotBlank();
    assertThat(definition.path("description").asText()).isNotBlank();
    for (JsonNode property : definition.path("properties")) {
      assertThat(property.fieldNames())
          .toIterable()
          .contains("title", "description", "type", "example");
    }
  }

  static List<Path> routes() throws IOException {
    return Stream.of("routes", "routes/clients").flatMap(folder -> files(folder).stream()).toList();
  }

  static List<Path> kamelets() {
    return files("routes/kamelets");
  }

  private static List<Path> files(String folder) {
    try (Stream<Path> files = Files.list(Path.of(folder))) {
      return files.filter(file -> file.toString().endsWith(".yaml")).sorted().toList();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static JsonSchema camelSchema() {
    try (InputStream schema = RoutesTest.class.getResourceAsStream("/schema/camelYamlDsl.json")) {
      return JsonSchemaFactory.getInstance(SpecVersion.VersionFlag.V7).getSchema(schema);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
