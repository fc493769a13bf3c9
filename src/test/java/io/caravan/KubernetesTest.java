package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What kustomize makes of {@code docker/kubernetes/}. There is no cluster here to give it to. */
class KubernetesTest {
  private static final YAMLMapper YAML = new YAMLMapper();

  @Test
  void twoHubsRunAsNobodyAndAreProbedForWhatTheyThemselvesCanMend() throws IOException {
    JsonNode deployment = only(made("hubs"), "Deployment");
    JsonNode hub = deployment.at("/spec/template/spec/containers/0");

    assertThat(deployment.at("/spec/replicas").asInt()).isEqualTo(2);
    assertThat(hub.at("/securityContext/readOnlyRootFilesystem").asBoolean()).isTrue();
    assertThat(hub.at("/livenessProbe/exec/command").toString())
        .isEqualTo("[\"healthy\",\"live\"]");
    assertThat(hub.at("/readinessProbe/exec/command").toString())
        .isEqualTo("[\"healthy\",\"ready\"]");
    assertThat(hub.toString()).doesNotContain("_PASSWORD\"");
  }

  @Test
  void aGroupHasHubsAndClientsOfItsOwn() throws IOException {
    List<JsonNode> group = made("group");
    JsonNode deployment = only(group, "Deployment");

    assertThat(deployment.at("/metadata/name").asText()).isEqualTo("caravan-east");
    assertThat(deployment.at("/spec/template/spec/volumes/0/configMap/name").asText())
        .isEqualTo("caravan-clients-east");
    for (String kind : new String[] {"Deployment", "PodDisruptionBudget"}) {
      assertThat(only(group, kind).at("/spec/selector/matchLabels").toString())
          .as(kind)
          .contains("\"app.kubernetes.io/instance\":\"east\"");
    }
  }

  private static JsonNode only(List<JsonNode> resources, String kind) {
    List<JsonNode> found =
        resources.stream().filter(each -> each.path("kind").asText().equals(kind)).toList();
    assertThat(found).hasSize(1);
    return found.get(0);
  }

  private static List<JsonNode> made(String folder) throws IOException {
    String printed =
        Tool.needed("kubectl", "kubectl").run("kustomize", "docker/kubernetes/" + folder);
    return new ArrayList<>(YAML.readerFor(JsonNode.class).<JsonNode>readValues(printed).readAll());
  }
}
