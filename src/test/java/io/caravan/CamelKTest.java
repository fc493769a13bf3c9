package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code docker/camel-k/generate} prints. There is no Camel K here to give it to. */
class CamelKTest {
  private static final YAMLMapper YAML = new YAMLMapper();
  private static final String JAR = "mvn:io.caravan:caravan:0.1.0";

  @ParameterizedTest
  @ValueSource(strings = {"image", "flows"})
  void whatIsGeneratedIsWhatCamelKTakes(String form) throws IOException {
    for (JsonNode resource : generated(form, JAR)) {
      String kind = resource.path("kind").asText();
      assertThat(strict(kind.toLowerCase(java.util.Locale.ROOT) + "s").validate(resource))
          .as(kind)
          .isEmpty();
    }
  }

  @Test
  void theFlowsAreWhatCamelTakes() throws IOException {
    try (InputStream schema = getClass().getResourceAsStream("/schema/camelYamlDsl.json")) {
      JsonNode flows = generated("flows", JAR).get(0).at("/spec/flows");

      assertThat(flows).hasSizeGreaterThan(10);
      assertThat(JsonSchemaFactory.getInstance(VersionFlag.V7).getSchema(schema).validate(flows))
          .isEmpty();
    }
  }

  private static List<JsonNode> generated(String form, String what) throws IOException {
    String printed = Tool.at(Path.of("docker/camel-k/generate")).run(form, what);
    return YAML.readerFor(JsonNode.class).<JsonNode>readValues(printed).readAll();
  }

  /** The schema of a custom resource, which also refuses what Kubernetes would drop. */
  private static JsonSchema strict(String resources) throws IOException {
    try (InputStream file =
        CamelKTest.class.getResourceAsStream("/camel-k/camel.apache.org_" + resources + ".yaml")) {
      JsonNode schema = YAML.readTree(file).at("/spec/versions/0/schema/openAPIV3Schema");
      close(schema);
      return JsonSchemaFactory.getInstance(VersionFlag.V4).getSchema(schema);
    }
  }

  private static void close(JsonNode schema) {
    if (schema.has("properties")) {
      schema.path("properties").forEach(CamelKTest::close);
      if (!schema.has("additionalProperties")
          && !schema.path("x-kubernetes-preserve-unknown-fields").asBoolean()) {
        ((ObjectNode) schema).put("additionalProperties", false);
      }
    }
    for (String inner : new String[] {"items", "additionalProperties"}) {
      if (schema.path(inner).isObject()) {
        close(schema.path(inner));
      }
    }
  }
}
