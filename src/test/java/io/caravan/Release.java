package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.commons.io.FileUtils;

/**
 * What {@code mvn -Prelease} makes, in a copy of the project, so that no other build is disturbed.
 */
final class Release {
  private static final List<String> NOT_COPIED = List.of("target", ".git");
  private static final Map<String, Path> BUILT = new HashMap<>();

  private Release() {}

  /**
   * The folder of a copy in which a release was built; it is built once.
   *
   * @param name of the copy
   */
  static synchronized Path built(String name) {
    return BUILT.computeIfAbsent(name, Release::build);
  }

  /** The only file in a folder whose name ends so. */
  static Path only(Path folder, String end) {
    try (Stream<Path> files = Files.list(folder)) {
      List<Path> found = files.filter(file -> file.toString().endsWith(end)).toList();
      assertThat(found).as(end).hasSize(1);
      return found.get(0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Copies the project as it is checked out into a folder. */
  static void copyTo(Path folder) throws IOException {
    Files.createDirectories(folder);
    try (Stream<Path> files = Files.list(Path.of("").toAbsolutePath())) {
      for (Path file :
          files.filter(each -> !NOT_COPIED.contains(each.getFileName().toString())).toList()) {
        FileUtils.copyToDirectory(file.toFile(), folder.toFile());
      }
    }
  }

  private static Path build(String name) {
    // Several processes test at the same time, and each of them builds its own.
    String process = System.getProperty("test.process", "1");
    Path copy = Path.of("target", "release", process, name).toAbsolutePath();
    try {
      FileUtils.deleteDirectory(copy.toFile());
      copyTo(copy);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Tool.at(Path.of(System.getProperty("maven.home"), "bin", "mvn"))
        .run("-B", "-q", "-Prelease", "-f", copy.resolve("pom.xml").toString());
    return copy;
  }
}
