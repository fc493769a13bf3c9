package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** The demo for Docker. What its hubs and databases do is in {@link ImageTest}. */
class ComposeTest {
  private static final String FILE = "docker/compose.yaml";

  @Test
  void composeTakesItsFile() {
    Tool compose = Tool.needed("docker-compose", "docker-compose");

    assertThat(compose.run("-f", FILE, "config", "--services").split("\\R"))
        .contains("central", "blog", "shop", "forum", "hub-1", "hub-2", "prometheus", "grafana");
  }

  @Test
  void secretsAreFilesAndNoVariables() {
    Tool compose = Tool.needed("docker-compose", "docker-compose");

    assertThat(compose.run("-f", FILE, "config"))
        .contains("BLOG_PASSWORD_FILE: /run/secrets/hub")
        .doesNotContainPattern("(?m)PASSWORD: \\S");
  }
}
