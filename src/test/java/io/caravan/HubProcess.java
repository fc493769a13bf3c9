package io.caravan;

import static org.awaitility.Awaitility.await;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A hub that runs as users run it: a JVM of its own, which can be killed at any instruction. It
 * does not outlive the JVM of the tests.
 */
public final class HubProcess {
  private static final Path JAVA = Path.of(System.getProperty("java.home"), "bin", "java");

  private final Path output;
  private final Process process;
  private final Thread killer = new Thread(this::kill, "hub-killer");

  /**
   * Starts it; {@link #awaitStarted()} waits until it works.
   *
   * @param directory where it runs, with {@code application.properties} and {@code routes/}; what
   *     it prints is in {@code hub.log} there
   * @param jvmOptions for instance {@code -Xmx256m}
   */
  HubProcess(Path directory, List<String> jvmOptions) {
    output = directory.resolve("hub.log");
    List<String> command = new ArrayList<>(List.of(JAVA.toString(), "-cp", classPath()));
    command.addAll(jvmOptions);
    command.add(Hub.class.getName());
    try {
      process =
          new ProcessBuilder(command)
              .directory(directory.toFile())
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Runtime.getRuntime().addShutdownHook(killer);
  }

  /** Waits until its routes run. */
  public HubProcess awaitStarted() {
    await()
        .atMost(Duration.ofMinutes(1))
        .failFast("the hub has ended, see " + output, () -> !isAlive())
        .until(this::hasStarted);
    return this;
  }

  /** Whether its routes run. */
  public boolean hasStarted() {
    return output().contains("(caravan) started in");
  }

  /** Whether it still runs. */
  public boolean isAlive() {
    return process.isAlive();
  }

  /** Its process id. */
  public long pid() {
    return process.pid();
  }

  /** What it has printed. */
  public String output() {
    try {
      return Files.readString(output);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Ends it at once, as {@code kill -9} does, and waits for its end. */
  public void kill() {
    process.destroyForcibly().onExit().join();
    if (Thread.currentThread() != killer) {
      Runtime.getRuntime().removeShutdownHook(killer);
    }
  }

  /** Asks it to end in good order, as {@code kill} does, and waits for its end. */
  public void stop() {
    process.destroy();
    await().atMost(Duration.ofMinutes(1)).until(() -> !isAlive());
    kill();
  }

  /** Makes it stand still, as a virtual machine does that is moved. */
  public void freeze() {
    signal("STOP");
  }

  /** Lets it go on after {@link #freeze()}. */
  public void thaw() {
    signal("CONT");
  }

  private void signal(String name) {
    try {
      new ProcessBuilder("kill", "-" + name, "" + process.pid()).start().onExit().join();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What a hub has on its class path: that of the tests without their own classes. */
  private static String classPath() {
    return Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
        .filter(entry -> !Path.of(entry).endsWith("test-classes"))
        .collect(Collectors.joining(File.pathSeparator));
  }
}
