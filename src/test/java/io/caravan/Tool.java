package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/** A program of the machine. A test that needs one is skipped, with a line, where it is missing. */
public final class Tool {
  private final String name;

  private Tool(String name) {
    this.name = name;
  }

  /**
   * A program that a test needs.
   *
   * @param name of the program
   * @param debianPackage that has it, for the line
   */
  public static Tool needed(String name, String debianPackage) {
    boolean isThere =
        Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, name)));
    assumeTrue(isThere, name + " is missing: apt-get install " + debianPackage);
    return new Tool(name);
  }

  /** A program at this place. */
  static Tool at(Path program) {
    return new Tool(program.toString());
  }

  /** Runs it, expects it to succeed, and returns what it has printed. */
  public String run(String... arguments) {
    try {
      Process process = new ProcessBuilder(command(arguments)).redirectErrorStream(true).start();
      String printed = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      assertThat(process.waitFor()).as(printed).isZero();
      return printed;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  /**
   * Starts it.
   *
   * @param log where what it prints goes
   */
  public Process start(Path log, String... arguments) {
    try {
      return new ProcessBuilder(command(arguments))
          .redirectErrorStream(true)
          .redirectOutput(log.toFile())
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private List<String> command(String... arguments) {
    List<String> command = new ArrayList<>(List.of(name));
    command.addAll(List.of(arguments));
    return command;
  }
}
