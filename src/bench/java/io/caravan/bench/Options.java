package io.caravan.bench;

import java.time.Duration;
import java.util.List;
import java.util.stream.Stream;

/**
 * What to measure, from system properties.
 *
 * @param only {@code bench.only}: the sections, of {@link Benchmark#SECTIONS}
 * @param withArticle {@code bench.article}: whether the article's script takes part in latency and
 *     throughput; they spend most of their time waiting for it
 * @param clients {@code bench.clients}: how many, one after another
 * @param rates {@code bench.rates}: changes a second
 * @param turns {@code bench.turns}: how often each contender has its turn
 * @param time {@code bench.seconds}: how long each measurement takes that has no end of its own
 * @param rows {@code bench.rows}: of the table, and of the one big transaction
 * @param transactions {@code bench.transactions}: how many small ones
 * @param many {@code bench.many}: how many clients one hub gets, when it gets many
 */
record Options(
    List<String> only,
    boolean withArticle,
    List<Integer> clients,
    List<Integer> rates,
    int turns,
    Duration time,
    int rows,
    int transactions,
    int many) {

  /** What {@code mvn -Pbench -Dbench.…} says. */
  static Options fromSystem() {
    return new Options(
        list("only", String.join(",", Benchmark.SECTIONS.keySet())),
        Boolean.parseBoolean(property("article", "true")),
        numbers("clients", "3,10"),
        numbers("rates", "50,500,2000"),
        Integer.getInteger("bench.turns", 3),
        Duration.ofMillis((long) (1000 * Double.parseDouble(property("seconds", "5")))),
        Integer.getInteger("bench.rows", 100_000),
        Integer.getInteger("bench.transactions", 20_000),
        Integer.getInteger("bench.many", 100));
  }

  private static List<Integer> numbers(String name, String otherwise) {
    return list(name, otherwise).stream().map(Integer::valueOf).toList();
  }

  private static List<String> list(String name, String otherwise) {
    return Stream.of(property(name, otherwise).split(",")).map(String::trim).toList();
  }

  private static String property(String name, String otherwise) {
    return System.getProperty("bench." + name, otherwise);
  }
}
