package io.caravan.faults;

import static org.awaitility.Awaitility.await;

import io.caravan.HubProcess;
import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;

/** What may go wrong: how it is brought about, and how it ends. */
enum Fault {
  NONE("nothing, for comparison", (world, client) -> End.NONE),

  HUB_KILLED(
      "the hub is killed (`kill -9`) and started again",
      world -> {
        world.hub().kill();
        return world::startHub;
      }),

  HUB_STOPPED(
      "the hub is stopped in good order and started again",
      world -> {
        world.hub().stop();
        return world::startHub;
      }),

  HUB_FROZEN(
      "the hub's process stands still (`kill -STOP`)",
      world -> {
        world.hub().freeze();
        return world.hub()::thaw;
      }),

  SECOND_HUB(
      "a second hub runs, and is killed",
      world -> {
        HubProcess second = world.anotherHub().awaitStarted();
        return second::kill;
      }),

  CENTRAL_CRASHED(
      "central's server is shut down (immediate) and recovers",
      world -> {
        world.centralServer().crash();
        return world.centralServer()::start;
      }),

  CENTRAL_RESTARTED(
      "central's server is shut down (fast) and started",
      world -> {
        world.centralServer().stop();
        return world.centralServer()::start;
      }),

  CENTRAL_SESSIONS_CUT(
      "all of the hub's sessions in central are terminated",
      world -> {
        cut(world.central(), "usename = 'hub'");
        return End.NONE;
      }),

  CENTRAL_SILENT(
      "the line between hub and central goes silent",
      world -> {
        world.centralWire().silence();
        return world.centralWire()::restore;
      }),

  CENTRAL_SLOW(
      "the line between hub and central is slow (50 ms)",
      world -> {
        world.centralWire().delay(Duration.ofMillis(50));
        return () -> world.centralWire().delay(Duration.ZERO);
      }),

  LISTENER_CUT(
      "the listener's session is terminated",
      world -> {
        cutListener(world);
        return End.NONE;
      }),

  LISTENER_CUT_20_TIMES(
      "the listener's session is terminated 20 times",
      world -> {
        for (int i = 0; i < 20; i++) {
          cutListener(world);
        }
        return End.NONE;
      }),

  NOTIFICATIONS_FORGED(
      "1,000 notifications are garbage, forged or huge",
      world -> {
        world
            .central()
            .execute(
                """
                select pg_notify('caravan', case n % 6
                  when 0 then 'garbage ' || n
                  when 1 then repeat('x', 7990) || n
                  when 2 then '{"source": "public.users", "op": "update", "key": [' || n || '], "row": {"id": 1, "name": "forged"}}'
                  when 3 then '{"source": "public.users", "op": "truncate"} ' || n
                  when 4 then '{"source": "pg_catalog.pg_authid", "op": "delete", "key": [' || n || ']}'
                  else '{"source": "public.users", "op": "drop", "key": [' || n || ']}'
                  end)
                from generate_series(1, 1000) as n
                """);
        return End.NONE;
      }),

  OPEN_TRANSACTION(
      "a transaction stays open in central during three other faults",
      world -> {
        Connection open =
            open(
                world.central(),
                "update users set name = 'late', version = nextval('version') where id = 0");
        return () -> {
          try (open) {
            if (open.isValid(1)) { // one of the other faults may have ended it
              open.commit();
            }
          }
        };
      }),

  SOURCE_TRUNCATED(
      "a source is truncated",
      world -> {
        world.central().execute("truncate orders");
        return End.NONE;
      }),

  CLIENT_CRASHED(
      "a client's server is shut down (immediate) and recovers",
      (world, client) -> {
        world.server(client).crash();
        return world.server(client)::start;
      }),

  CLIENT_SESSIONS_CUT(
      "all of the hub's sessions in a client are terminated",
      (world, client) -> {
        cut(world.database(client), "usename = 'hub'");
        return End.NONE;
      }),

  CLIENT_SILENT(
      "the line between hub and a client goes silent",
      (world, client) -> {
        world.wire(client).silence();
        return world.wire(client)::restore;
      }),

  CLIENT_SLOW(
      "the line between hub and a client is slow (200 ms)",
      (world, client) -> {
        world.wire(client).delay(Duration.ofMillis(200));
        return () -> world.wire(client).delay(Duration.ZERO);
      }),

  CLIENT_TABLE_LOCKED(
      "a client's table is locked",
      (world, client) ->
          open(world.database(client), "lock table " + client.table + " in access exclusive mode")
              ::close),

  CLIENT_ROWS_LOCKED(
      "all rows of a client's table are locked",
      (world, client) ->
          open(world.database(client), "select from " + client.table + " for update")::close),

  CLIENT_ALTERED(
      "a client's table is altered, in a transaction that stays open",
      (world, client) -> {
        Connection session =
            open(
                world.database(client),
                "alter table " + client.table + " drop column if exists extra",
                "alter table " + client.table + " add column extra text default 'x'");
        return () -> {
          try (session) {
            session.commit();
          }
        };
      }),

  CLIENT_COLUMN_RENAMED(
      "a mapped column of a client is renamed, and back",
      (world, client) -> {
        String rename = "alter table " + client.table + " rename column %s to %s";
        world.database(client).execute(rename.formatted(client.column, "elsewhere"));
        return () -> world.database(client).execute(rename.formatted("elsewhere", client.column));
      }),

  CLIENT_REFUSES_ROWS(
      "a client refuses a third of the rows; then they are replayed",
      (world, client) -> {
        String alter = "alter table " + client.table;
        world
            .database(client)
            .execute(alter + " add constraint refuses check (rev % 3 <> 0) not valid");
        return () -> {
          world.database(client).execute(alter + " drop constraint refuses");
          world.central().execute("select caravan.replay()");
        };
      }),

  CLIENT_DISK_FULL(
      "a client says that its disk is full",
      (world, client) -> {
        world
            .database(client)
            .execute(
                """
                create or replace function full_disk() returns trigger language plpgsql as
                $$ begin raise exception 'no space left on device' using errcode = 'disk_full'; end $$;
                create trigger full_disk before insert or update on %s for each statement
                execute function full_disk()
                """
                    .formatted(client.table));
        return () -> world.database(client).execute("drop trigger full_disk on " + client.table);
      }),

  CLIENT_RIGHTS_REVOKED(
      "the hub loses the right to write to a client's table",
      (world, client) -> {
        String rights = " insert, update, delete on " + client.table;
        world.database(client).execute("revoke" + rights + " from hub");
        return () -> world.database(client).execute("grant" + rights + " to hub");
      });

  private final String description;
  private final boolean atClient;

  @SuppressWarnings("ImmutableEnumChecker") // no lambda here keeps a state
  private final AtClient injection;

  Fault(String description, Anywhere injection) {
    this.description = description;
    this.atClient = false;
    this.injection = (world, client) -> injection.inject(world);
  }

  Fault(String description, AtClient injection) {
    this.description = description;
    this.atClient = true;
    this.injection = injection;
  }

  /** What happens, in a few words. */
  String description() {
    return description;
  }

  /** Whether it befalls one client, of which the others must not notice anything. */
  boolean isAtClient() {
    return atClient;
  }

  /** Brings it about; the result ends it. The client does not matter for those that befall none. */
  End inject(World world, Client client) throws Exception {
    return injection.inject(world, client);
  }

  private static void cutListener(World world) {
    String isListener = "application_name = 'caravan-listener'";
    await().until(() -> !cut(world.central(), isListener).equals("0"));
  }

  private static String cut(Database database, String which) {
    return database.value(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where " + which);
  }

  /** Leaves a transaction open. */
  private static Connection open(Database database, String... statements) throws SQLException {
    Connection session = database.dataSource().getConnection();
    session.setAutoCommit(false);
    for (String statement : statements) {
      try (Statement s = session.createStatement()) {
        s.execute(statement);
      }
    }
    return session;
  }

  /** Ends a fault. */
  @FunctionalInterface
  interface End {
    /** For what is over at once. */
    End NONE = () -> {};

    void end() throws Exception;
  }

  @FunctionalInterface
  private interface Anywhere {
    End inject(World world) throws Exception;
  }

  @FunctionalInterface
  private interface AtClient {
    End inject(World world, Client client) throws Exception;
  }
}
