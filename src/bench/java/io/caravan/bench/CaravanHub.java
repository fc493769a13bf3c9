package io.caravan.bench;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres.Database;
import java.util.ArrayList;
import java.util.List;

/** Caravan as it is shipped: its hub is a process of its own, and logs in as the README says. */
final class CaravanHub implements Contender.Returning {
  private static final String GRANTS =
      "grant select, insert, update, delete on users to hub; grant usage on schema caravan to hub; grant select, insert, update, delete on all tables in schema caravan to hub";
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.users", "key": {"id": "id"},
        "columns": {"name": "name", "email": "email"}, "rows": "%s"}]
      """;

  private final Caravan caravan;
  private final List<Database> clients = new ArrayList<>();
  private final int healthPort;
  private String heap = "-Xmx256m";
  private HubProcess hub;

  /** Installs it, without starting a hub. The clients have central's rows already. */
  CaravanHub(Stage stage, int clientCount) {
    this(stage, clientCount, "shared");
  }

  /**
   * The same.
   *
   * @param rows what the mapping says of whose rows the clients' tables hold
   */
  CaravanHub(Stage stage, int clientCount, String rows) {
    caravan = new Caravan(stage.centralServer()).asShipped();
    stage.fillCentral(caravan.central(), stage.rows());
    caravan.central().execute("select caravan.track('users', '{name, email}')");
    caravan.central().execute("grant caravan_hub to hub");
    caravan.set("central.url", urlOf(caravan.central())).set("central.user", "hub");
    healthPort = stage.freePort();
    caravan.set("caravan.management", "true").set("caravan.management.port", "" + healthPort);
    for (int n = 1; n <= clientCount; n++) {
      String name = "c" + n;
      caravan.client(
          stage.clientServer(), name, stage.clientDdl() + GRANTS, MAPPING.formatted(rows));
      clients.add(caravan.database(name));
      caravan.set(name + ".url", urlOf(caravan.database(name))).set(name + ".user", "hub");
    }
  }

  /** Overrides a setting of the hub; takes effect when it is started. */
  CaravanHub set(String name, String value) {
    caravan.set(name, value);
    return this;
  }

  /** Gives the hub, when it is started, another heap: a JVM option. */
  CaravanHub heap(String option) {
    heap = option;
    return this;
  }

  /** Starts the hub, and waits until it works. */
  CaravanHub start() {
    hub = launch().awaitStarted();
    return this;
  }

  /** Starts the hub. */
  HubProcess launch() {
    hub = caravan.startProcess(heap);
    return hub;
  }

  /** The hub that runs. */
  HubProcess hub() {
    return hub;
  }

  /** Where it says how it is. */
  int healthPort() {
    return healthPort;
  }

  @Override
  public String name() {
    return clients.isEmpty() ? "caravan without hub" : "caravan";
  }

  @Override
  public Database central() {
    return caravan.central();
  }

  @Override
  public List<Database> clients() {
    return clients;
  }

  /** A hub that was stopped and started anew would be slow until its code is compiled. */
  @Override
  public void resume() {
    if (hub != null) {
      hub.thaw();
    }
  }

  @Override
  public void pause() {
    if (hub != null) {
      hub.freeze();
    }
  }

  @Override
  public void leave() {
    hub.stop();
  }

  @Override
  public void comeBack() {
    launch();
  }

  @Override
  public void close() {
    caravan.close();
  }

  /** Where the hub, which logs in as itself, finds a database. */
  static String urlOf(Database database) {
    return "jdbc:postgresql://localhost:" + database.port() + "/" + database.name();
  }
}
