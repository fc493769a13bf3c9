package io.caravan.read;

/**
 * What was visible at a moment, as PostgreSQL writes a {@code pg_snapshot}: {@code 10:20:12,15}.
 *
 * @param xmax transactions from this one on were not visible
 * @param running the transactions before it that were not visible either, as an array in SQL
 */
record Snapshot(String xmax, String running) {
  static Snapshot of(String text) {
    String[] parts = text.split(":", -1);
    return new Snapshot(parts[1], "{" + parts[2] + "}");
  }

  boolean isWithoutRunning() {
    return running.equals("{}");
  }
}
