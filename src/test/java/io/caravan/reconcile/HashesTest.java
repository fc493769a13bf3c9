package io.caravan.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

class HashesTest {
  private final Database database = Postgres.shared().createDatabase("hashes");

  /** Each line is a table of four rows, all in one bucket; no two of them have the same digest. */
  @Test
  void rowsThatHaveSwappedValuesDoNotAddUpToTheSame() {
    List<String> digests =
        Stream.of(
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, 'x', 'x'), (4, 'x', 'x')",
                "(1, 'c', 'b'), (2, 'a', 'd'), (3, 'x', 'x'), (4, 'x', 'x')",
                "(1, 'c', 'd'), (2, 'a', 'b'), (3, 'x', 'x'), (4, 'x', 'x')",
                "(1, 'b', 'a'), (2, 'd', 'c'), (3, 'x', 'x'), (4, 'x', 'x')",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, 'y', 'y'), (4, 'y', 'y')",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, 'y', 'x'), (4, 'x', 'y')",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, '', null), (4, null, '')",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, null, ''), (4, '', null)",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, null, null), (4, null, null)",
                "(1, 'a', 'b'), (2, 'c', 'd'), (3, '', ''), (4, '', '')")
            .map(this::digest)
            .toList();

    assertThat(digests).doesNotHaveDuplicates();
  }

  private String digest(String rows) {
    return database.value(
        "select bit_xor(%s) from (values %s) as t (id, a, b)"
            .formatted(
                Hashes.ofRow(List.of("id"), List.of("integer"), List.of("a", "b"), 1), rows));
  }
}
