package io.caravan.faults;

import io.caravan.Caravan;
import io.caravan.HubProcess;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.Wire;
import io.caravan.faults.Client.Copy;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;

/**
 * A central and three clients, each on a PostgreSQL server of its own, lines between them and the
 * hub, which is a process: so that each can fail alone. The hub has a login of its own, with no
 * more rights than the README gives it.
 */
final class World implements AutoCloseable {
  // The tests' servers are quicker without, but then a crash takes back what was committed.
  private final Postgres centralServer = new Postgres(Map.of("synchronous_commit", "on"));
  private final Map<Client, Postgres> servers = new EnumMap<>(Client.class);
  private final Map<Client, Wire> wires = new EnumMap<>(Client.class);
  private final Caravan caravan = new Caravan(centralServer);
  private final Wire centralWire = wireTo(caravan.central());
  private HubProcess hub;

  World() {
    caravan
        .central()
        .execute(
            """
            create role hub login in role caravan_hub;
            create sequence version;
            create table users (id bigint primary key, name text, email text unique, version bigint not null);
            create table orders (
              id bigint generated always as identity primary key,
              user_id bigint not null references users on delete cascade,
              item text, amount numeric(12, 2), version bigint not null
            );
            create index on orders (user_id);
            create table beat (id int primary key, at timestamptz);
            select caravan.track('users', '{name, email, version}');
            select caravan.track('orders', '{user_id, item, amount, version}');
            select caravan.track('beat', '{at}');
            insert into users
            select n, 'user ' || n, 'User' || n || '@example.org', nextval('version')
            from generate_series(0, 300) as n;
            """);
    for (Client client : Client.values()) {
      Postgres server = new Postgres(Map.of());
      servers.put(client, server);
      caravan.client(server, client.id(), client.ddl, client.mapping);
      database(client).execute(AUDIT);
      wires.put(client, wireTo(database(client)));
      caravan.set(client.id() + ".url", url(wire(client), database(client)));
      caravan.set(client.id() + ".user", "hub");
    }
    caravan.set("central.url", url(centralWire, central())).set("central.user", "hub");
    caravan.set("caravan.management", "false").set("caravan.tick", "10000");
    caravan.set("caravan.socketTimeout", "5").set("caravan.lockTimeout", "2s");
    hub = anotherHub().awaitStarted();
  }

  /** Notes at a client where a row's version went backwards. */
  private static final String AUDIT =
      """
      create table beat (id int primary key, at timestamptz);
      create table seen (relation name, key text, version bigint, primary key (relation, key));
      create table went_back (relation name, key text, version bigint, newest bigint);
      create function audit() returns trigger language plpgsql security definer set search_path = public as $$
      declare
        newest bigint := (select s.version from seen s where s.relation = tg_relname and s.key = to_jsonb(new) ->> tg_argv[0]);
      begin
        if new.rev < newest then
          insert into went_back values (tg_relname, to_jsonb(new) ->> tg_argv[0], new.rev, newest);
        end if;
        insert into seen values (tg_relname, to_jsonb(new) ->> tg_argv[0], new.rev)
        on conflict (relation, key) do update set version = greatest(seen.version, excluded.version);
        return null;
      end
      $$;
      do $$
      declare
        t record;
      begin
        for t in
          select relname, attname
          from pg_index i join pg_class c on c.oid = indrelid join pg_attribute a on attrelid = indrelid and attnum = indkey[0]
          where indisprimary and exists (select from pg_attribute r where r.attrelid = indrelid and r.attname = 'rev')
        loop
          execute format('create trigger audit after insert or update on %I for each row execute function audit(%L)',
            t.relname, t.attname);
        end loop;
      end
      $$;
      create role hub login;
      grant usage on schema caravan to hub;
      grant select, insert, update, delete on all tables in schema caravan to hub;
      grant select, insert, update, delete on all tables in schema public to hub;
      """;

  /** The hub that is meant to run. */
  HubProcess hub() {
    return hub;
  }

  /** Starts the hub, after it was ended. */
  void startHub() {
    hub = anotherHub();
  }

  /** Starts one more hub. */
  HubProcess anotherHub() {
    return caravan.startProcess("-Xmx256m");
  }

  Postgres centralServer() {
    return centralServer;
  }

  Database central() {
    return caravan.central();
  }

  Wire centralWire() {
    return centralWire;
  }

  Postgres server(Client client) {
    return servers.get(client);
  }

  Database database(Client client) {
    return caravan.database(client.id());
  }

  Wire wire(Client client) {
    return wires.get(client);
  }

  /** The rows in which a client differs from central, and what is left of dead letters. */
  List<String> differences() {
    List<String> differences = new ArrayList<>();
    for (Client client : Client.values()) {
      for (Copy copy : client.copies) {
        List<List<String>> expected = central().query(copy.central());
        List<List<String>> actual = database(client).query(copy.client());
        minus(expected, actual).forEach(row -> differences.add(client + " lacks " + row));
        minus(actual, expected).forEach(row -> differences.add(client + " still has " + row));
      }
    }
    letters().forEach(letter -> differences.add("dead letter " + letter));
    return differences;
  }

  /** The dead letters that are not resolved. */
  List<List<String>> letters() {
    return central().query("select * from caravan.dead_letters");
  }

  /** How many times a row at a client became older than it was. */
  int wentBack() {
    return Stream.of(Client.values())
        .mapToInt(
            client -> Integer.parseInt(database(client).value("select count(*) from went_back")))
        .sum();
  }

  @Override
  public void close() {
    caravan.close();
    wires.values().forEach(Wire::close);
    centralWire.close();
    servers.values().forEach(Postgres::close);
    centralServer.close();
  }

  private static Set<List<String>> minus(
      Collection<List<String>> rows, Collection<List<String>> others) {
    Set<List<String>> left = new HashSet<>(rows);
    left.removeAll(new HashSet<>(others));
    return left;
  }

  private static Wire wireTo(Database database) {
    try {
      return new Wire(database.port());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String url(Wire wire, Database database) {
    return "jdbc:postgresql://localhost:" + wire.port() + "/" + database.name();
  }
}
