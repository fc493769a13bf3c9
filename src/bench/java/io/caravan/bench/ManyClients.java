package io.caravan.bench;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres.Database;
import java.time.Duration;

/** One hub with very many clients, each a schema in one database. */
final class ManyClients implements Section {
  private static final int ROWS = 100;
  // A client is compared once a minute at most; nothing is done less often.
  private static final Duration IDLE = Duration.ofMinutes(2);
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

      idle(stage, hub, size);

      CommitRecords inCentral = stage.commitsInCentral();
      CommitRecords inClients = stage.commitsInClients();
      caravan.central().execute("update users set name = 'one for all' where id = 1");
      Waiting.until(
          "all have the change", () -> clients.value(allNames(options.many())).equals(all));
      Footprint.size(stage, hub, size);
      long began =
          inCentral
              .read()
              .get(Long.valueOf(caravan.central().value("select xmin from users where id = 1")));
      double[] millis = new double[options.many()];
      var commits = inClients.read();
      for (int n = 1; n <= options.many(); n++) {
        long xid =
            Long.parseLong(clients.value("select xmin from c%d.users where id = 1".formatted(n)));
        millis[n - 1] = (commits.get(xid) - began) / 1e3;
      }
      size.add("caravan", "ms until half of them have a change", Sample.of(millis).median());
      size.add("caravan", "ms until all of them have it", Sample.of(millis).max());
      hub.stop();
    }
    size.print();
  }

  /** What it takes of the cores when nothing changes. */
  private static void idle(Stage stage, HubProcess hub, Report.Case report) {
    double inCentral = Processes.cpuSeconds(stage.centralServer().pid());
    double inClients = Processes.cpuSeconds(stage.clientServer().pid());
    double inHub = Processes.cpuSeconds(hub.pid());
    Footprint.rest(IDLE);
    double share = 100.0 / IDLE.toSeconds();
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

  /** A query that counts the clients that have the change. */
  private static String allNames(int count) {
    StringBuilder union = new StringBuilder();
    for (int n = 1; n <= count; n++) {
      union
          .append(n == 1 ? "" : " union all ")
          .append("select name from c" + n + ".users where id = 1");
    }
    return "select count(*) from (" + union + ") as u where name = 'one for all'";
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }
}
