package io.caravan.bench;

import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ServerSocket;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * Two PostgreSQL servers, one for central and one for the clients, on which each contender has
 * databases of its own. Both write as carefully as PostgreSQL does by default.
 */
final class Stage implements AutoCloseable {
  // The test servers do without the first three. wal_level is for logical replication and holds for
  // all; the sizes keep checkpoints out of the measurements.
  private static final Map<String, String> SETTINGS =
      Map.ofEntries(
          Map.entry("fsync", "on"),
          Map.entry("synchronous_commit", "on"),
          Map.entry("full_page_writes", "on"),
          Map.entry("wal_level", "logical"),
          Map.entry("max_wal_senders", "100"),
          Map.entry("max_replication_slots", "100"),
          Map.entry("max_worker_processes", "120"),
          Map.entry("max_logical_replication_workers", "100"),
          Map.entry("max_connections", "2500"),
          Map.entry("shared_buffers", "512MB"),
          Map.entry("max_wal_size", "8GB"),
          Map.entry("checkpoint_timeout", "1h"),
          Map.entry("wal_keep_size", "4GB"));

  private static final String USERS =
      "select n as id, 'user ' || n as name, 'user' || n || '@example.org' as email from generate_series(0, %d) as n";

  private final Postgres centralServer = new Postgres(SETTINGS);
  private final Postgres clientServer = new Postgres(SETTINGS);
  private final Database observedCentral = centralServer.createDatabase("observed");
  private final Database observedClients = clientServer.createDatabase("observed");
  private final int rows;

  /**
   * Starts both.
   *
   * @param rows of the table in central and in each client; the keys are 1 to this, and 0, which
   *     only {@link Waiting} uses
   */
  Stage(int rows) {
    this.rows = rows;
    allowSubscriptions(clientServer);
    for (Database database : List.of(observedCentral, observedClients)) {
      database.execute("create role hub login");
      database.execute("create extension pg_walinspect");
    }
  }

  // Since version 18 these are 10 unless told otherwise, and what is over waits; before, a server
  // does not know the setting, and does not start with it.
  private static void allowSubscriptions(Postgres server) {
    Database database = server.createDatabase("settings");
    String setting = "max_active_replication_origins";
    if (!database.query("select from pg_settings where name = '%s'".formatted(setting)).isEmpty()) {
      database.execute("alter system set %s = 100".formatted(setting));
      server.stop();
      server.start();
    }
  }

  /** The commit records of central's server from now on. */
  CommitRecords commitsInCentral() {
    return new CommitRecords(observedCentral);
  }

  /** The commit records of the clients' server from now on. */
  CommitRecords commitsInClients() {
    return new CommitRecords(observedClients);
  }

  Postgres centralServer() {
    return centralServer;
  }

  Postgres clientServer() {
    return clientServer;
  }

  int rows() {
    return rows;
  }

  /** The settings of both servers that differ from PostgreSQL's defaults. */
  static Map<String, String> settings() {
    return new TreeMap<>(SETTINGS);
  }

  /** What the servers are: their version, and what not every build of PostgreSQL has. */
  String server() {
    return observedCentral.value(
        """
        select format('%s, %s, %s', current_setting('server_version'),
          case when pg_jit_available() then 'with JIT' else 'without JIT' end,
          case when exists (select from pg_collation where collprovider = 'i') then 'with ICU' else 'without ICU' end)
        """);
  }

  /** How many connections the hub has to both servers. */
  long connectionsOfTheHub() {
    return Stream.of(observedCentral, observedClients)
        .mapToLong(
            database ->
                Long.parseLong(
                    database.value("select count(*) from pg_stat_activity where usename = 'hub'")))
        .sum();
  }

  /** A database for a contender's central, with its table and rows. */
  Database central(String contender) {
    Database central = centralServer.createDatabase(contender);
    fillCentral(central, rows);
    return central;
  }

  /** Makes the table and its rows. */
  void fillCentral(Database central, int rows) {
    central.execute(
        "create table users (id bigint primary key, name text not null, email text not null, remark text);"
            + "insert into users "
            + USERS.formatted(rows));
    // As it is after a while: with room in its pages for new versions of rows.
    central.execute("update users set remark = ''");
    central.execute("vacuum analyze users");
  }

  /** Databases for a contender's clients, each with the table and central's rows. */
  List<Database> clients(String contender, int count) {
    return IntStream.rangeClosed(1, count)
        .mapToObj(
            n -> {
              Database client = clientServer.createDatabase(contender + "_c" + n);
              client.execute(clientDdl());
              client.execute("vacuum analyze users");
              return client;
            })
        .toList();
  }

  /** Makes the table of a client, and its rows. */
  String clientDdl() {
    return "create table users (id bigint primary key, name text not null, email text not null);"
        + "insert into users "
        + USERS.formatted(rows)
        + ";";
  }

  /** A port that nobody has at present. */
  int freePort() {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    centralServer.close();
    clientServer.close();
  }
}
