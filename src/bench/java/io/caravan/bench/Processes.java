package io.caravan.bench;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** What Linux tells of a process and its children, and on which core they run. */
final class Processes {
  private static final double TICKS_PER_SECOND = 100; // what Linux shows, whatever its own clock

  // Asked before anything is pinned: afterwards Java sees only the cores that it is left.
  private static final int CORES = Runtime.getRuntime().availableProcessors();

  private Processes() {}

  /** The processor time that a process and its children have used, the ended ones included. */
  static double cpuSeconds(long pid) {
    long ticks = ticks(pid, 4);
    for (ProcessHandle child : children(pid)) {
      ticks += ticks(child.pid(), 2);
    }
    return ticks / TICKS_PER_SECOND;
  }

  /** How long a process has been at work, and ready to work but without a core, until now. */
  static Cores coresOf(long pid) {
    String[] nanos = read(Path.of("/proc/" + pid + "/schedstat")).split(" ", -1);
    return new Cores(Long.parseLong(nanos[0]) / 1e9, Long.parseLong(nanos[1]) / 1e9);
  }

  /** Seconds of a process. */
  record Cores(double atWork, double waiting) {
    Cores since(Cores earlier) {
      return new Cores(atWork - earlier.atWork, waiting - earlier.waiting);
    }
  }

  /** A line of {@code /proc/<pid>/status} that holds a number, for instance VmRSS. */
  static long status(long pid, String name) {
    return read(Path.of("/proc/" + pid + "/status"))
        .lines()
        .filter(line -> line.startsWith(name + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D", "")))
        .findFirst()
        .orElseThrow();
  }

  /** Lets a process, all its threads and its children run on these cores only. */
  static void pin(long pid, String cores) {
    run("taskset", "-acp", cores, "" + pid);
    children(pid).forEach(child -> run("taskset", "-acp", cores, "" + child.pid()));
  }

  /** Whether there is a core for each of two sides. */
  static boolean canPin() {
    return CORES > 1
        && Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .anyMatch(folder -> Files.isExecutable(Path.of(folder, "taskset")));
  }

  /** All cores, as {@link #pin} takes them. */
  static String allCores() {
    return "0-" + (CORES - 1);
  }

  /** Runs a program and returns what it has printed. */
  static String run(String... command) {
    try {
      Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      process.onExit().join();
      return output;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** How much of its heap a Java process uses after a collection. */
  static double heapMebibytes(long pid) {
    String jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd").toString();
    run(jcmd, "" + pid, "GC.run");
    Matcher used = Pattern.compile("used (\\d+)K").matcher(run(jcmd, "" + pid, "GC.heap_info"));
    if (!used.find()) {
      throw new IllegalStateException("jcmd does not tell the heap of " + pid);
    }
    return Long.parseLong(used.group(1)) / 1024.0;
  }

  private static List<ProcessHandle> children(long pid) {
    return ProcessHandle.of(pid).stream().flatMap(ProcessHandle::children).toList();
  }

  /** User and system time, the fields 14 and 15; and then those of children that have ended. */
  private static long ticks(long pid, int fields) {
    try {
      String stat = Files.readString(Path.of("/proc/" + pid + "/stat"));
      String[] values = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      return Stream.of(values).skip(11).limit(fields).mapToLong(Long::parseLong).sum();
    } catch (IOException e) {
      if (ProcessHandle.of(pid).isPresent()) {
        throw new UncheckedIOException(e);
      }
      return 0; // it has just ended, and its parent will have its time
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
