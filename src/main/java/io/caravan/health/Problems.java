package io.caravan.health;

import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.joining;
import static java.util.stream.Collectors.mapping;

import io.caravan.News;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.camel.Body;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is wrong with sources in central, for instance that a trigger was disabled, or that a run
 * waits for a person. It is told once in the log, and does not make the hub unhealthy: starting it
 * again would not help.
 */
public final class Problems extends AbstractHealthCheck {
  private static final Logger LOG = LoggerFactory.getLogger("caravan.sources");

  private final News news = new News();
  private Map<String, String> bySource = Map.of();

  /** No problem is known. */
  public Problems() {
    super("caravan", "caravan-sources");
  }

  /**
   * Central was asked.
   *
   * @param problems rows of {@code caravan.problems}
   */
  public synchronized void found(@Body List<Map<String, Object>> problems) {
    Set<String> found =
        problems.stream()
            .map(row -> "%s: %s. %s".formatted(row.get("source"), problem(row), row.get("remedy")))
            .collect(Collectors.toSet());
    if (found.isEmpty() && news.isAny()) {
      LOG.info("no source has a problem any more");
    }
    news.areOverBut(found);
    found.stream().sorted().filter(news::isNew).forEach(LOG::warn);
    bySource =
        problems.stream()
            .collect(
                groupingBy(
                    row -> (String) row.get("source"),
                    TreeMap::new,
                    mapping(Problems::problem, joining(", "))));
  }

  private static String problem(Map<String, Object> row) {
    return (String) row.get("problem");
  }

  @Override
  protected synchronized void doCall(
      HealthCheckResultBuilder builder, Map<String, Object> options) {
    builder.up();
    bySource.forEach(builder::detail);
  }
}
