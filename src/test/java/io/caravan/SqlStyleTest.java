package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The house rules of the SQL: what a formatter would see to, and that people find their way. */
class SqlStyleTest {
  private static final Path SQL = Path.of("sql");
  private static final int LONGEST_LINE = 140;
  private static final int LONGEST_FILE = 250;

  @Test
  void linesAreShortAndIndentedBySpaces() throws IOException {
    List<String> wrong = new ArrayList<>();
    for (Path file : files()) {
      List<String> lines = Files.readAllLines(file);
      for (int n = 0; n < lines.size(); n++) {
        if (lines.get(n).length() > LONGEST_LINE || lines.get(n).contains("\t")) {
          wrong.add(file + ":" + (n + 1));
        }
      }
    }
    assertThat(wrong).isEmpty();
  }

  @Test
  void filesAreShort() throws IOException {
    for (Path file : files()) {
      assertThat(Files.readAllLines(file)).as("" + file).hasSizeLessThanOrEqualTo(LONGEST_FILE);
    }
  }

  @Test
  void filesAreNamedForWhatTheyAreAboutAndMigrationsNumbered() throws IOException {
    for (Path file : files()) {
      boolean isMigration = file.getParent().endsWith("migrations");
      assertThat("" + file.getFileName())
          .as("" + file)
          .matches(isMigration ? "[0-9]{3}-[a-z-]+\\.sql" : "[a-z-]+\\.sql");
    }
  }

  @Test
  void eachFileIsInstalled() throws IOException {
    Path central = SQL.resolve("central");
    List<String> included =
        Files.readAllLines(central.resolve("install.sql")).stream()
            .filter(line -> line.startsWith("\\ir "))
            .map(line -> line.substring(4))
            .toList();

    assertThat(included)
        .containsExactlyInAnyOrderElementsOf(
            files().stream()
                .filter(file -> file.startsWith(central))
                .map(file -> "" + central.relativize(file))
                .filter(file -> !file.endsWith("install.sql"))
                .toList());
  }

  @Test
  void eachFileBeginsByTellingWhatItIsAbout() throws IOException {
    for (Path file : files()) {
      assertThat(Files.readAllLines(file).get(0)).as("" + file).startsWith("-- ");
    }
  }

  @Test
  void allThatOthersMayCallAndReadHasAComment() {
    Database central = Postgres.shared().createCentral();

    assertThat(
            central.query(
                """
                select p.oid::regprocedure::text
                from pg_proc p
                where obj_description(p.oid, 'pg_proc') is null and (
                  p.pronamespace = 'caravan'::regnamespace
                  or p.pronamespace = 'caravan_internal'::regnamespace
                    and exists (select from aclexplode(p.proacl) as a where a.grantee not in (0, p.proowner))
                )
                union all
                select c.oid::regclass::text
                from pg_class c
                where c.relnamespace in ('caravan'::regnamespace, 'caravan_internal'::regnamespace) and c.relkind in ('r', 'v')
                  and obj_description(c.oid, 'pg_class') is null
                """))
        .isEmpty();
  }

  private static List<Path> files() throws IOException {
    try (Stream<Path> all = Files.walk(SQL)) {
      return all.filter(file -> file.toString().endsWith(".sql")).sorted().toList();
    }
  }
}
