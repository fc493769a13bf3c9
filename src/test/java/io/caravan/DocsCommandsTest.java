package io.caravan;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.apache.commons.io.FileUtils;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The commands in the documentation do what they say: page by page, in a fresh copy of the project,
 * on a fresh server with two empty databases, {@code central} and {@code blog}.
 */
@Tag("slow")
class DocsCommandsTest {
  private static final Pattern PSQL = Pattern.compile("`(psql -d [^`]*)`");

  @TempDir private Path folder;
  private final List<Process> started = new ArrayList<>();
  private Postgres server;
  private int port;

  @BeforeEach
  void aFreshServer() {
    Tool.needed("psql", "postgresql-client");
    server = new Postgres(Map.of());
    port = server.createDatabaseNamed("central").port();
    server.createDatabaseNamed("blog");
  }

  @AfterEach
  void stop() {
    for (Process process : started) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly().onExit().join();
    }
    server.close();
  }

  @Test
  void theReadmeBringsAChangeFromCentralToTheBlog() throws IOException {
    Release.copyTo(folder);
    for (String example : List.of("shop", "forum")) {
      Files.delete(folder.resolve("routes/clients/" + example + ".camel.yaml")); // as it says
    }

    runAll(DocsBlock.of(DocsTest.README));

    List<String> typed =
        PSQL.matcher(Files.readString(DocsTest.README).replace("\n", " "))
            .results()
            .map(found -> found.group(1))
            .toList();
    assertThat(typed).as("a change, and a look at it").hasSize(2);
    run("README's change", typed.get(0));
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(
            () -> assertThat(run("README's look", typed.get(1))).contains("countess@example.org"));
  }

  static List<Path> pages() throws IOException {
    List<Path> pages = new ArrayList<>();
    for (Path page : DocsTest.pages()) {
      if (DocsBlock.of(page).stream().anyMatch(DocsBlock::isRun)) {
        pages.add(page);
      }
    }
    return pages;
  }

  /** What the README has made ready is there. */
  @ParameterizedTest
  @MethodSource("pages")
  void thePagesCommandsWork(Path page) throws IOException {
    Path archive = Release.only(Release.built("one").resolve("target"), ".tar.gz");
    Tool.needed("tar", "tar")
        .run("-xf", archive.toString(), "--strip-components=1", "-C", folder.toString());
    FileUtils.copyFileToDirectory(archive.toFile(), folder.toFile());
    runAll(DocsBlock.of(DocsTest.README).stream().filter(block -> !block.goesOn()).toList());

    runAll(DocsBlock.of(page));
  }

  @Test
  void whatIsNotRunSaysWhy() throws IOException {
    List<Path> all = new ArrayList<>(List.of(DocsTest.README));
    all.addAll(DocsTest.pages());
    for (Path page : all) {
      for (DocsBlock block : DocsBlock.of(page)) {
        if (!block.isRun()) {
          System.out.println("DocsCommandsTest: " + block + " is not run: " + block.whyNot());
          assertThat(block.whyNot()).as(block.toString()).hasSizeGreaterThan(10);
        }
      }
    }
  }

  private void runAll(List<DocsBlock> blocks) throws IOException {
    for (DocsBlock block : blocks) {
      if (block.goesOn()) {
        goOn(block);
      } else if (block.isRun()) {
        run(block.toString(), shell(block));
      }
    }
  }

  /** Runs it, and awaits that it runs a hub. */
  private void goOn(DocsBlock block) throws IOException {
    Path log = folder.resolve("goes-on.log");
    started.add(bash(block.text()).redirectOutput(log.toFile()).start());
    await()
        .atMost(Duration.ofMinutes(10))
        .untilAsserted(
            () -> {
              String logged = Files.readString(log);
              assertThat(started.get(started.size() - 1).isAlive()).as(logged).isTrue();
              assertThat(logged).contains("Apache Camel").contains("started in");
            });
  }

  private String run(String what, String commands) throws IOException {
    Process process = bash(commands).start();
    String printed = new String(process.getInputStream().readAllBytes(), UTF_8);
    assertThat(process.onExit().join().exitValue()).as(what + ": " + printed).isZero();
    return printed;
  }

  private static String shell(DocsBlock block) {
    return block.language().equals("sql")
        ? "psql -d central <<'SQL'\n" + block.text() + "SQL\n"
        : block.text();
  }

  /** In the page's folder, with this server where PostgreSQL's usual port is written. */
  private ProcessBuilder bash(String commands) throws IOException {
    Path psqlrc = folder.resolve(".psqlrc");
    Files.writeString(psqlrc, "\\set ON_ERROR_STOP on\n\\set QUIET on\n");
    ProcessBuilder bash =
        new ProcessBuilder(
                "bash", "-euo", "pipefail", "-c", commands.replace(":5432/", ":" + port + "/"))
            .directory(folder.toFile())
            .redirectErrorStream(true);
    Map<String, String> environment = bash.environment();
    environment.put("PGHOST", "localhost");
    environment.put("PGPORT", "" + port);
    environment.put("PGUSER", "postgres");
    environment.put("PSQLRC", psqlrc.toString());
    environment.put(
        "PATH",
        Path.of(System.getProperty("maven.home"), "bin")
            + ":"
            + Path.of(System.getProperty("java.home"), "bin")
            + ":"
            + System.getenv("PATH"));
    return bash;
  }
}
