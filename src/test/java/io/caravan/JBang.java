package io.caravan;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The command {@code camel} of Camel JBang, in a process of its own with a class path of its own.
 * Needs no JBang, but Maven: it resolves what {@code src/test/jbang/pom.xml} names.
 */
public final class JBang {
  private static final String CAMEL_VERSION = System.getProperty("camel.version");
  private static final Path CLASS_PATH =
      Path.of("target", "jbang-" + CAMEL_VERSION + ".classpath").toAbsolutePath();
  private static final Path LOG = Path.of("target", "jbang-classpath.log");
  private static final Path SOURCE =
      Path.of("src", "test", "java", "io", "caravan", "JBang.java").toAbsolutePath();

  private JBang() {}

  /**
   * Starts {@code camel} with the given arguments. Kill the process to stop it: Camel then shuts
   * down in order.
   *
   * @param directory to run it in; it leaves a folder {@code .camel-jbang} there
   * @param log where its output goes
   * @param args for instance {@code run application.properties}
   */
  public static Process start(Path directory, Path log, String... args) {
    List<String> command = new ArrayList<>(List.of(java(), "-Xmx512m", "-cp", classPath()));
    command.add(SOURCE.toString());
    command.addAll(List.of(args));
    try {
      return new ProcessBuilder(command)
          .directory(directory.toFile())
          .redirectErrorStream(true)
          .redirectOutput(log.toFile())
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Is {@code camel}. Java runs this file from its source, so that nothing else of the tests is on
   * the class path; and by reflection, so that the tests compile without Camel JBang.
   *
   * @param args what {@code camel} takes
   * @throws ReflectiveOperationException if Camel JBang is not on the class path
   */
  public static void main(String[] args) throws ReflectiveOperationException {
    Class.forName("org.apache.camel.dsl.jbang.core.commands.CamelJBangMain")
        .getMethod("run", String[].class)
        .invoke(null, (Object) args);
  }

  private static synchronized String classPath() {
    try {
      if (!Files.exists(CLASS_PATH)) {
        resolve();
      }
      return Files.readString(CLASS_PATH);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static void resolve() throws IOException, InterruptedException {
    Process maven =
        new ProcessBuilder(
                Path.of(System.getProperty("maven.home"), "bin", "mvn").toString(),
                "-B",
                "-q",
                "-f",
                "src/test/jbang/pom.xml",
                "-Dcamel.version=" + CAMEL_VERSION,
                "-Dmdep.outputFile=" + CLASS_PATH,
                "dependency:build-classpath")
            .redirectErrorStream(true)
            .redirectOutput(LOG.toFile())
            .start();
    if (maven.waitFor() != 0) {
      throw new IllegalStateException("Maven cannot resolve Camel JBang, see " + LOG);
    }
  }

  private static String java() {
    return Path.of(System.getProperty("java.home"), "bin", "java").toString();
  }
}
