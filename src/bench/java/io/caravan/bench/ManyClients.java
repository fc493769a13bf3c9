package io.caravan.bench;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres.Database;
import java.time.Duration;
import java.util.stream.IntStream;

/** One hub with very many clients, each a schema in one database. */
final class ManyClients implements Section {
  private static final int ROWS = 100;
  // Times as long as other measurements. Two minutes then: a client is compared once a minute at
  // most, and nothing is done less often.
  private static final int IDLE = 24;
  // 15 seconds then: a hub that has nothing to do wakes its clients every 10 seconds.
  private static final int REST = 3;
  private static final String SCHEMA =
      """
      create schema c%1$d;
      create table c%1$d.users (id bigint primary key, name text not null, email text not null);
      grant usage on schema c%1$d to hub;
      grant select, insert, update, delete on c%1$d.users to hub;
      """;
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "c%d.users", "key": {"id": "id"},
        "columns": {"name": "name", "email": "email"}}]
      """;
  private static final String BEHIND =
      "select count(*) from caravan.cursor where cursor -> 'filled' is null or cursor ? 'fill'";

  @Override
  public void run(Stage stage, Options options, Report report) {
    Report.Case size =
        report.begin("many clients", "a hub with %,d clients".formatted(options.many()), "");
    try (Caravan caravan = new Caravan(stage.centralServer()).asShipped()) {
      stage.fillCentral(caravan.central(), ROWS);
      caravan.central().execute("select caravan.track('users', '{name, email}')");
      caravan.central().execute("grant caravan_hub to hub");
      caravan.set("central.url", CaravanHub.urlOf(caravan.central())).set("central.user", "hub");
      Database clients = addClients(stage, caravan, options.many());

      long start = System.nanoTime();
      HubProcess hub = caravan.startProcess("-Xmx512m");
      Waiting.until("the hub has started", () -> hub.hasStarted() || !hub.isAlive());
      size.add("caravan", "s until the routes run", seconds(start));
      String all = "" + options.many();
      Waiting.until(
          "all are loaded",
          () ->
              clients.value("select count(*) from caravan.cursor where step > 0").equals(all)
                  && clients.value(BEHIND).equals("0"));
      size.add("caravan", "s until all are loaded", seconds(start));

      idle(stage, hub, options.time().multipliedBy(IDLE), size);

      Change change = new Change(stage, caravan, clients, hub, options.many());
      change.report("a first change", size);
      Footprint.size(stage, hub, size);
      Footprint.rest(options.time().multipliedBy(REST));
      change.report("a later change", size);
      hub.stop();
    }
    size.print();
  }

  /** What it takes of the cores when nothing changes. */
  private static void idle(Stage stage, HubProcess hub, Duration time, Report.Case report) {
    double inCentral = Processes.cpuSeconds(stage.centralServer().pid());
    double inClients = Processes.cpuSeconds(stage.clientServer().pid());
    double inHub = Processes.cpuSeconds(hub.pid());
    Footprint.rest(time);
    double share = 100e3 / time.toMillis();
    report
        .add(
            "caravan",
            "% of a core for central, when nothing changes",
            share * (Processes.cpuSeconds(stage.centralServer().pid()) - inCentral))
        .add(
            "caravan",
            "% of a core for the clients' server, when nothing changes",
            share * (Processes.cpuSeconds(stage.clientServer().pid()) - inClients))
        .add(
            "caravan",
            "% of a core for the hub, when nothing changes",
            share * (Processes.cpuSeconds(hub.pid()) - inHub));
  }

  private static Database addClients(Stage stage, Caravan caravan, int count) {
    Database clients = stage.clientServer().createDatabase("many");
    clients.makeTablesFor("hub");
    for (int n = 1; n <= count; n++) {
      clients.execute(SCHEMA.formatted(n));
      caravan.client(clients, "c" + n, MAPPING.formatted(n));
      caravan.set("c" + n + ".url", CaravanHub.urlOf(clients)).set("c" + n + ".user", "hub");
    }
    return clients;
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /** One change of a row, for all clients. */
  private record Change(Stage stage, Caravan caravan, Database clients, HubProcess hub, int count) {

    /** How long it takes, and what it takes of the cores. */
    void report(String name, Report.Case report) {
      CommitRecords inCentral = stage.commitsInCentral();
      CommitRecords inClients = stage.commitsInClients();
      double ofClients = Processes.cpuSeconds(stage.clientServer().pid());
      double ofHub = Processes.cpuSeconds(hub.pid());
      long before = Long.parseLong(clients.value("select max(step) from caravan.cursor"));

      caravan.central().execute("update users set name = '" + name + "' where id = 1");
      Waiting.until("all have " + name, () -> moved(before) == count);

      report
          .add(
              "caravan",
              "s of a core for the hub, " + name,
              Processes.cpuSeconds(hub.pid()) - ofHub)
          .add(
              "caravan",
              "s of a core for the clients' server, " + name,
              Processes.cpuSeconds(stage.clientServer().pid()) - ofClients);
      long began = inCentral.read().get(xid(caravan.central(), "users"));
      var commits = inClients.read();
      Sample millis =
          Sample.of(
              IntStream.rangeClosed(1, count)
                  .mapToDouble(n -> (commits.get(xid(clients, "c" + n + ".users")) - began) / 1e3)
                  .toArray());
      report
          .add("caravan", "ms until half of them have " + name, millis.median())
          .add("caravan", "ms until all of them have " + name, millis.max());
    }

    /** How many cursors have moved, which are quicker to ask than all the clients' rows. */
    private int moved(long since) {
      String count = "select count(*) from caravan.cursor where step > " + since;
      return Integer.parseInt(clients.value(count));
    }

    private static long xid(Database database, String table) {
      return Long.parseLong(database.value("select xmin from " + table + " where id = 1"));
    }
  }
}
