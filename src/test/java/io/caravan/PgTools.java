package io.caravan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * The tools of a PostgreSQL that is installed here: the servers that tests start come without.
 *
 * @param bin the folder that they are in
 */
record PgTools(Path bin) {

  /**
   * Those of {@code -Dpostgres.home}, or of the newest that Debian's packages have installed.
   *
   * @param tool that must be among them
   */
  static Optional<PgTools> with(String tool) {
    String home = System.getProperty("postgres.home");
    Path all = Path.of("/usr/lib/postgresql");
    if (home == null && Files.notExists(all)) {
      return Optional.empty();
    }
    try (Stream<Path> homes = home == null ? Files.list(all) : Stream.of(Path.of(home))) {
      return homes
          .map(each -> each.resolve("bin"))
          .filter(bin -> Files.isExecutable(bin.resolve(tool)))
          .max(Comparator.comparing(bin -> version(bin)))
          .map(PgTools::new);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int version(Path bin) {
    return Integer.parseInt(bin.getParent().getFileName().toString());
  }

  /** Of which version they are, for instance 15. */
  int version() {
    return version(bin);
  }

  /**
   * Runs one, in the test's server's folder; as nobody, where the test is run by root, whom they
   * refuse.
   */
  void run(Path directory, String tool, String... arguments) {
    List<String> command = new ArrayList<>();
    if (System.getProperty("user.name").equals("root")) {
      command.addAll(List.of("unshare", "-U"));
    }
    command.add(bin.resolve(tool).toString());
    command.addAll(List.of(arguments));
    Path output = directory.resolve(tool + ".out");
    try {
      int status =
          new ProcessBuilder(command)
              .directory(directory.toFile())
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start()
              .waitFor();
      if (status != 0) {
        throw new IllegalStateException(
            "%s has failed: %s".formatted(tool, Files.readString(output)));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
