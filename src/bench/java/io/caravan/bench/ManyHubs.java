package io.caravan.bench;

import static java.util.stream.Collectors.counting;
import static java.util.stream.Collectors.groupingBy;
import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * 300 clients in two groups with a hub each, and a standby for both: {@code mvn test
 * -Dtest=ManyHubs}. It takes minutes, so that it is not in every build; it prints what it measures.
 */
class ManyHubs {
  private static final List<String> GROUPS = List.of("east", "west");
  private static final int CLIENTS_OF_A_GROUP = 150;
  private static final int ROWS = 100;
  private static final int SECONDS_BETWEEN_CHANGES = 2;
  private static final Duration STEADY = Duration.ofSeconds(30);
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.%s", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  // Each client notes when the row with the key 0 arrived, and by which hub.
  private static final String NOTE =
      """
      create table arrived (client text, name text, hub text, at timestamptz default clock_timestamp());
      create function note() returns trigger language plpgsql as $$
        begin
          insert into public.arrived values (tg_table_name, new.name, current_setting('application_name'));
          return null;
        end
      $$;
      """;
  private static final String CLIENT =
      """
      create table %1$s (id bigint primary key, name text);
      create trigger note after insert or update on %1$s
        for each row when (new.id = 0) execute function note();
      """;

  private final Postgres server = new Postgres(Map.of("max_connections", "2000"));
  private final Caravan caravan = new Caravan(server).asShipped();
  private final Database central = caravan.central();
  private final Map<String, Database> groups = new TreeMap<>();
  private final Map<String, HubProcess> hubs = new LinkedHashMap<>();
  private final ScheduledExecutorService writer = Executors.newSingleThreadScheduledExecutor();
  private Future<?> writing;
  private final AtomicInteger written = new AtomicInteger();
  private String markedAt;

  @BeforeEach
  void aCentralAndItsClients() {
    central.execute(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users select n, 'start' from generate_series(0, %d) n;
        """
            .formatted(ROWS - 1));
    for (String group : GROUPS) {
      Database database = server.createDatabase(group);
      groups.put(group, database);
      database.makeTables();
      database.execute(NOTE + clientsOf(group).stream().map(CLIENT::formatted).collect(joining()));
    }
  }

  @AfterEach
  void stop() {
    writer.shutdownNow();
    caravan.close();
    server.close();
  }

  @Test
  void theStandbyTakesUpTheClientsOfAHubThatIsKilledAndNothingIsLost() {
    markedAt = central.value("select clock_timestamp()");
    GROUPS.forEach(group -> startHub(group, List.of(group)));
    tell(
        "150 clients on each of 2 hubs are live after %.0f s"
            .formatted(slowest(arrivals("start"))));
    GROUPS.forEach(
        group ->
            tell(
                "heap of %s after a collection: %.0f MiB"
                    .formatted(group, Processes.heapMebibytes(hubs.get(group).pid()))));
    startHub("standby", GROUPS).awaitStarted();
    write();

    Map<String, Double> used = processorSecondsIn(STEADY);
    mark("steady");
    Map<String, Arrival> steady = arrivals("steady");
    tell("clients served by each: %s".formatted(countByHub(steady)));
    tell("processor seconds in %d s: %s".formatted(STEADY.toSeconds(), used));
    tell("all have a change after %.1f s".formatted(slowest(steady)));

    hubs.get("east").kill();
    mark("killed");
    Map<String, Arrival> killed = arrivals("killed");
    Map<String, Arrival> orphans = new TreeMap<>(killed);
    orphans.keySet().removeIf(client -> !steady.get(client).hub().equals("east"));
    tell(
        "a hub that served %d clients was killed: the standby serves all of them after %.1f s"
            .formatted(orphans.size(), slowest(orphans)));
    assertThat(countByHub(orphans)).containsOnlyKeys("standby");
    awaitThatNothingIsLost();
  }

  private static List<String> clientsOf(String group) {
    return IntStream.range(0, CLIENTS_OF_A_GROUP).mapToObj(n -> group + "_" + n).toList();
  }

  /** Starts a hub that has the clients of these groups; each can see by which hub it is served. */
  private HubProcess startHub(String name, List<String> itsGroups) {
    for (String group : itsGroups) {
      for (String client : clientsOf(group)) {
        caravan.client(groups.get(group), client, MAPPING.formatted(client));
        caravan.set(client + ".url", groups.get(group).url() + "&ApplicationName=" + name);
      }
    }
    HubProcess hub = caravan.startProcess("-Xmx288m");
    itsGroups.forEach(group -> clientsOf(group).forEach(caravan::delete));
    hubs.put(name, hub);
    return hub;
  }

  /** Begins to change rows in central, one after another. */
  private void write() {
    writing =
        writer.scheduleAtFixedRate(
            () ->
                central.execute(
                    "update users set name = clock_timestamp() where id = "
                        + (1 + written.getAndIncrement() % (ROWS - 1))),
            0,
            SECONDS_BETWEEN_CHANGES,
            TimeUnit.SECONDS);
  }

  private void mark(String name) {
    markedAt = central.value("select clock_timestamp()");
    central.execute("update users set name = '%s' where id = 0".formatted(name));
  }

  /** When the marked row was at each client, and by which hub. */
  private Map<String, Arrival> arrivals(String mark) {
    Map<String, Arrival> arrivals = new TreeMap<>();
    String query =
        "select client, hub, extract(epoch from at - '%s') from arrived where name = '%s'"
            .formatted(markedAt, mark);
    await()
        .atMost(Duration.ofMinutes(5))
        .pollInterval(Duration.ofSeconds(1))
        .until(
            () -> {
              for (Database database : groups.values()) {
                database
                    .query(query)
                    .forEach(row -> arrivals.putIfAbsent(row.get(0), Arrival.of(row)));
              }
              return arrivals.size() == GROUPS.size() * CLIENTS_OF_A_GROUP;
            });
    return arrivals;
  }

  private static double slowest(Map<String, Arrival> arrivals) {
    return arrivals.values().stream().mapToDouble(Arrival::seconds).max().orElseThrow();
  }

  private static Map<String, Long> countByHub(Map<String, Arrival> arrivals) {
    return arrivals.values().stream().collect(groupingBy(Arrival::hub, TreeMap::new, counting()));
  }

  /** What each hub takes of the processors in a while. */
  private Map<String, Double> processorSecondsIn(Duration time) {
    Map<String, Double> used = new TreeMap<>();
    hubs.forEach((name, hub) -> used.put(name, -Processes.cpuSeconds(hub.pid())));
    await().pollDelay(time).atMost(time.multipliedBy(3)).until(() -> true);
    hubs.forEach((name, hub) -> used.merge(name, Processes.cpuSeconds(hub.pid()), Double::sum));
    return used;
  }

  /** Ends the writing, and waits until all clients have all that was written. */
  private void awaitThatNothingIsLost() {
    assertThat(writing).isNotDone(); // it would be if a change had failed
    writer.shutdown();
    await().until(writer::isTerminated);
    String content = "select md5(string_agg(id || name, ',' order by id)) from ";
    String expected = central.value(content + "users");
    for (String group : GROUPS) {
      for (String client : clientsOf(group)) {
        await().until(() -> groups.get(group).value(content + client).equals(expected));
      }
    }
    tell("%d changes, none lost".formatted(written.get()));
  }

  private static void tell(String what) {
    System.out.println("many hubs: " + what);
  }

  private record Arrival(String hub, double seconds) {
    static Arrival of(List<String> row) {
      return new Arrival(row.get(1), Double.parseDouble(row.get(2)));
    }
  }
}
