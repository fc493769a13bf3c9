package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a user unpacks. */
@Tag("slow")
class ReleaseTest {
  @TempDir private Path folder;

  @Test
  void aReleaseThatIsBuiltTwiceHasTheSameBytes() {
    Path one = Release.built("one").resolve("target");
    Path other = Release.built("other").resolve("target");

    for (String end : new String[] {"caravan.jar", ".tar.gz", ".zip", ".cdx.json"}) {
      assertThat(Release.only(one, end)).hasSameBinaryContentAs(Release.only(other, end));
    }
  }

  @Test
  void theArchiveHasAllThatAHubNeeds() {
    Tool tar = Tool.needed("tar", "tar");
    Path archive = Release.only(Release.built("one").resolve("target"), ".tar.gz");

    tar.run("-xf", archive.toString(), "--strip-components=1", "-C", folder.toString());

    assertThat(
            Tool.at(Path.of(System.getProperty("java.home"), "bin", "java"))
                .run("-jar", folder.resolve("caravan.jar").toString(), "--version"))
        .matches("Caravan [0-9].*\\R");
    assertThat(folder)
        .isDirectoryContaining("glob:**/application.properties")
        .isDirectoryContaining("glob:**/THIRD-PARTY.txt")
        .isDirectoryContaining("glob:**/LICENSE")
        .isDirectoryContaining("glob:**/caravan.cdx.json");
    assertThat(folder.resolve("routes/kamelets/pump.kamelet.yaml")).exists();
    assertThat(folder.resolve("sql/central/install.sql")).exists();
    assertThat(folder.resolve("docker/compose.yaml")).exists();
  }
}
