package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.networknt.schema.JsonSchema;
import com.networknt.schema.JsonSchemaFactory;
import com.networknt.schema.SpecVersion.VersionFlag;
import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What {@code docker/camel-k/generate} prints. There is no Camel K here to give it to. */
@Tag("slow")
class CamelKTest {
  private static final YAMLMapper YAML = new YAMLMapper();
  private static final String JAR = "mvn:io.caravan:caravan:0.1.0";

  @TempDir private Path folder;

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

  @ParameterizedTest
  @ValueSource(strings = {"image", "flows"})
  void theSecretsWhoseFilesAreNamedAreMounted(String form) throws IOException {
    JsonNode traits = generated(form, JAR).get(0).at("/spec/traits");
    Set<String> named =
        Pattern.compile("_secrets/([^/]*)/")
            .matcher(traits.at("/environment/vars").toString())
            .results()
            .map(secret -> "secret:" + secret.group(1))
            .collect(Collectors.toSet());

    assertThat(named).contains("secret:caravan-passwords", "secret:caravan-tls");
    assertThat(traits.at("/mount/configs"))
        .extracting(JsonNode::asText)
        .containsExactlyInAnyOrderElementsOf(named);
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

  @Test
  void theFlowsRunWithTheKameletsTheSettingsAndTheJarAlone() throws IOException {
    List<JsonNode> generated = generated("flows", JAR);
    JsonNode spec = generated.get(0).path("spec");
    YAML.writeValue(folder.resolve("flows.camel.yaml").toFile(), spec.path("flows"));
    for (JsonNode kamelet : generated.subList(1, generated.size())) {
      String name = kamelet.at("/metadata/name").asText();
      YAML.writeValue(folder.resolve(name + ".kamelet.yaml").toFile(), kamelet);
    }
    ToolProvider.findFirst("jar")
        .orElseThrow()
        .run(
            System.out,
            System.err,
            "cf",
            folder.resolve("caravan.jar").toString(),
            "-C",
            "target/classes",
            ".");
    Database central = demo("central");
    Database blog = demo("blog");
    Files.writeString(
        folder.resolve("application.properties"), settings(spec, central, blog, demo("shop")));

    Process camel =
        JBang.start(
            folder,
            Path.of("target/camel-k.log"),
            "run",
            "application.properties",
            "--logging-color=false");
    try {
      await()
          .atMost(Duration.ofMinutes(5))
          .failFast("see target/camel-k.log", () -> !camel.isAlive())
          .untilAsserted(
              () -> assertThat(blog.value("select count(*) from members")).isEqualTo("1001"));
    } finally {
      camel.destroy();
      camel.onExit().join();
    }
  }

  /** Those of the manifest, and for Camel JBang what Camel K does by itself. */
  private static String settings(JsonNode spec, Database central, Database blog, Database shop) {
    StringBuilder settings = new StringBuilder();
    spec.at("/traits/camel/properties")
        .forEach(each -> settings.append(each.asText()).append('\n'));
    spec.at("/traits/environment/vars")
        .forEach(
            each -> {
              String variable = each.asText();
              if (variable.startsWith("CARAVAN_")) {
                int end = variable.indexOf('=');
                String name = variable.substring(0, end).toLowerCase(java.util.Locale.ROOT);
                settings
                    .append(name.replace('_', '.'))
                    .append(variable.substring(end))
                    .append('\n');
              }
            });
    StringBuilder dependencies = new StringBuilder();
    spec.path("dependencies")
        .forEach(
            each -> {
              if (!each.asText().equals(JAR)) {
                dependencies.append(each.asText()).append(',');
              }
            });
    return settings
        .append("camel.jbang.classpathFiles = caravan.jar\n")
        .append("camel.jbang.dependencies = " + dependencies + "\n")
        .append("camel.main.routesIncludePattern = file:flows.camel.yaml\n")
        .append("camel.component.kamelet.location = file:.\n")
        .append("central.url = " + central.url() + "\n")
        .append("blog.url = " + blog.url() + "\n")
        .append("shop.url = " + shop.url() + "\n")
        .append("forum.url = " + shop.url() + "\n")
        .toString();
  }

  private static Database demo(String name) throws IOException {
    Database database = Postgres.shared().createDatabase(name);
    if (name.equals("central")) {
      database.install(Path.of("sql/central"));
    }
    database.execute(Files.readString(Path.of("docker/demo", name + ".sql")));
    return database;
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
