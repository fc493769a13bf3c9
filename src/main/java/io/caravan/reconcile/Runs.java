package io.caravan.reconcile;

import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import javax.sql.DataSource;

/** The runs, as central keeps them. It says which of them is due, and which hub works for it. */
final class Runs {
  private static final String CLAIM =
      "select * from caravan_internal.claim_run(?, ?::jsonb, ?, ?, ?, ?::interval)";
  private static final String FAILED = "select caravan_internal.run_failed(?, ?, ?)";

  private final DataSource central;
  private final String hub;
  private final String patience;
  private final BooleanSupplier isStopping;

  /**
   * The runs for a hub.
   *
   * @param hub its name, which no other hub has
   * @param patience after how long a hub that was not heard of is taken for dead, as PostgreSQL
   *     takes it
   * @param isStopping whether the hub stops, and no longer goes on with any
   */
  Runs(DataSource central, String hub, String patience, BooleanSupplier isStopping) {
    this.central = central;
    this.hub = hub;
    this.patience = patience;
    this.isStopping = isStopping;
  }

  /**
   * The next run to work for; from now on it is this hub's.
   *
   * @param mapping of the client, as JSON
   * @param scheduledAt when it was last to be compared in any case; null: never yet
   * @param percent how much of a core may go into comparing it to verify, in percent
   */
  Claim claim(String client, String mapping, Timestamp scheduledAt, BigDecimal percent)
      throws SQLException {
    try (Connection connection = central.getConnection()) {
      return Sql.of(CLAIM, client, mapping, hub, scheduledAt, percent, patience)
          .one(connection, row -> claim(client, row));
    }
  }

  private Claim claim(String client, ResultSet row) throws SQLException {
    Optional<Timestamp> equalAt = Optional.ofNullable(row.getTimestamp("equal_at"));
    if (row.getObject("run") == null) {
      return new Claim(Optional.empty(), equalAt);
    }
    Run run =
        new Run(
            row.getLong("run"),
            client,
            row.getString("source"),
            row.getString("target"),
            row.getString("reason"),
            Optional.ofNullable(row.getString("key")).orElse(""),
            row.getBoolean("dry_run"),
            row.getBoolean("confirmed"));
    Ledger ledger = new Ledger(central, run.id(), hub, row.getLong("step"), isStopping);
    Checkpoint checkpoint = Checkpoint.parse(row.getString("checkpoint"));
    return new Claim(Optional.of(new Work(run, ledger, checkpoint)), equalAt);
  }

  /**
   * A run failed. It is tried again; the fifth failure since its last checkpoint ends it.
   *
   * @param cause in words
   */
  void failed(long run, String cause) throws SQLException {
    try (Connection connection = central.getConnection()) {
      Sql.of(FAILED, run, hub, cause).each(connection, row -> {});
    }
  }

  /**
   * What central says when it is asked for work.
   *
   * @param work empty: there is nothing to do
   * @param equalAt until when the client was shown to be equal to central; empty: never yet
   */
  record Claim(Optional<Work> work, Optional<Timestamp> equalAt) {}

  /** A run, what is written of it, and from where to go on. */
  record Work(Run run, Ledger ledger, Checkpoint checkpoint) {}
}
