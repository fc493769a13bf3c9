package io.caravan;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The image of {@code docker/Containerfile}, built by buildah, and programs in it. What runs there
 * is nobody in particular, on files that nobody can write, and in this machine's network.
 */
final class Image {
  private static final String NAME = "caravan-under-test";
  private static final String STORE = "--storage-driver=vfs";
  private static final Path LOG = Path.of("target/image.log");

  private final Tool buildah = Tool.needed("buildah", "buildah");
  private final Tool unshare = Tool.needed("unshare", "util-linux");
  private final Map<Path, String> mounts = new LinkedHashMap<>();
  private final Map<String, String> environment = new LinkedHashMap<>();
  private final String container;
  private final Path root;
  private final JsonNode config;

  /** Builds it, of the archive that a release has. */
  Image() {
    Tool.needed("debootstrap", "debootstrap");
    boolean mayMount = unshare.start(LOG, "--mount", "true").onExit().join().exitValue() == 0;
    assumeTrue(mayMount, "This machine lets nobody mount anything, so the image cannot be run");
    Path release = Release.built("one");
    Tool.at(Path.of(".ci/base-images")).run();
    buildah.run(
        STORE,
        "build",
        "--isolation=chroot",
        "--format=docker",
        "--ignorefile=" + release.resolve("docker/Containerfile.dockerignore"),
        "-t",
        NAME,
        "-f",
        release.resolve("docker/Containerfile").toString(),
        release.toString());
    container = buildah.run(STORE, "from", NAME).strip();
    root = Path.of(buildah.run(STORE, "mount", container).strip());
    config = json(buildah.run(STORE, "inspect", "--type", "image", NAME)).at("/Docker/config");
  }

  /** How the image says that it is run. */
  JsonNode config() {
    return config;
  }

  /** Where its files are. */
  Path root() {
    return root;
  }

  /** Mounts a file or folder of this machine, which programs in the image only read. */
  void mount(Path source, String target) {
    mounts.put(source.toAbsolutePath(), target);
  }

  /** Sets a variable. */
  void set(String name, String value) {
    environment.put(name, value);
  }

  /** Starts what the image is made for. */
  Process start() {
    List<String> program = new ArrayList<>();
    config.path("Entrypoint").forEach(word -> program.add(word.asText()));
    return start(LOG, program);
  }

  /** Runs another program in it, and returns whether it has succeeded. */
  boolean succeeds(String... program) {
    return start(Path.of("target/image-probe.log"), List.of(program)).onExit().join().exitValue()
        == 0;
  }

  /** Deletes it, but not what it was built on. */
  void close() {
    buildah.run(STORE, "rm", container);
    buildah.run(STORE, "rmi", "--force", NAME);
  }

  private Process start(Path log, List<String> program) {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "--mount",
                Path.of("src/test/resources/read-only").toAbsolutePath().toString(),
                root.toString(),
                config.path("User").asText(),
                config.path("WorkingDir").asText()));
    mounts.forEach((source, target) -> arguments.addAll(List.of(source.toString(), target)));
    arguments.addAll(List.of("--", "/usr/bin/env", "-i"));
    config.path("Env").forEach(variable -> arguments.add(variable.asText()));
    environment.forEach((name, value) -> arguments.add(name + "=" + value));
    arguments.addAll(program);
    return unshare.start(log, arguments.toArray(String[]::new));
  }

  private static JsonNode json(String text) {
    try {
      return new ObjectMapper().readTree(text);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
