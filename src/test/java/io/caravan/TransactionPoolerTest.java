package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * Clients behind a PgBouncer in transaction mode: each transaction may run in another session, and
 * a session serves many. Three clients in one database share two sessions.
 */
class TransactionPoolerTest extends WithBlog {
  private static final int SESSIONS = 2;
  // In a form that does not depend on settings.
  private static final String COLUMNS =
      """
      encode(raw, 'hex'), encode(interval_send(span), 'hex'), encode(timestamptz_send(at), 'hex'),
      encode(float8send(number), 'hex'), encode(cash_send(cash), 'hex'), encode(date_send(day), 'hex')
      """;
  private static final List<String> CLIENTS = List.of("blog", "shop", "forum");
  private static final String CLIENT =
      """
      create schema %1$s;
      create table %1$s.parents (id int primary key);
      insert into %1$s.parents values (1), (2);
      create table %1$s.things (
        id int primary key, raw bytea, span interval, at timestamptz, number float8, cash money, day date,
        raw_text text, span_text text, at_text text, number_text text, day_text text,
        parent int references %1$s.parents deferrable initially deferred,
        constraint no_13 check (id <> 13)
      );
      """;
  private static final String MAPPING =
      """
      - source: public.things
        table: %s.things
        key: {id: id}
        columns:
          raw: raw
          span: span
          at: at
          number: number
          cash: cash
          day: day
          raw_text: raw::text
          span_text: span::text
          at_text: at::text
          number_text: number::text
          day_text: day::text
          parent: parent
      """;

  private PgBouncer pooler;

  @BeforeEach
  void clientsBehindAPooler() throws IOException {
    assumeTrue(PgBouncer.isInstalled());
    central.execute(
        """
        create table things (
          id int primary key, raw bytea, span interval, at timestamptz, number float8, cash money, day date, parent int
        );
        select caravan.track('things', '{raw, span, at, number, cash, day, parent}');
        insert into things values
          (1, '\\x00ff', '-1 mons +2 days -03:00:00', '2024-10-27 02:30:00+02', 0.1, -1234.56, '2024-02-01', 1),
          (2, 'a\\\\b', '1 year', 'infinity', 1.7976931348623157e308, 0, '2024-12-31', null);
        """);
    Database database = Postgres.shared().createDatabase("pooled");
    for (String setting :
        List.of(
            "timezone = 'Pacific/Chatham'",
            "datestyle = 'German'",
            "bytea_output = 'escape'",
            "intervalstyle = 'sql_standard'",
            "extra_float_digits = -15")) {
      database.execute("alter database " + database.name() + " set " + setting);
    }
    database.makeTables();
    pooler = new PgBouncer(database.port(), SESSIONS);
    for (String client : CLIENTS) {
      database.execute(CLIENT.formatted(client));
      caravan
          .client(database, client, MAPPING.formatted(client))
          .edit(client, "      properties:", "      properties:\n        transactionPooling: true")
          .set(client + ".url", throughPooler());
    }
  }

  @AfterEach
  void stopPooler() {
    stop();
    if (pooler != null) {
      pooler.close();
    }
  }

  @Test
  void valuesThatDependOnSettingsArriveRight() {
    caravan.start();
    awaitThings();

    for (int id = 3; id < 12; id++) {
      central.execute(
          """
          insert into things
          select %1$d, decode('00ff5c27', 'hex'), '-1 mons +2 days -03:00:00', '2024-03-10 07:30:00.123456+00',
            %1$d / 3.0::float8, %1$d::numeric / 7, '2024-02-03', 2
          """
              .formatted(id));
      central.execute("update things set span = -span, at = at + '1 h' where id < " + id);
    }

    awaitThings();
    for (String client : CLIENTS) {
      assertThat(
              blog()
                  .query(
                      "select raw_text, span_text, at_text, day_text from %s.things where id = 1"
                          .formatted(client)))
          .containsExactly(
              List.of(
                  "\\x00ff", "1 mon -2 days +03:00:00", "2024-10-27 09:30:00+00", "2024-02-01"));
    }
  }

  @Test
  void whatAClientRefusesBecomesADeadLetterAndTheRestArrives() {
    caravan.start();
    awaitThings();

    central.execute("insert into things (id, parent) values (13, 1), (14, 99), (15, 2)");

    awaitLetters(
        "public.things [13] 23514 open",
        "public.things [13] 23514 open",
        "public.things [13] 23514 open",
        "public.things [14] 23503 open",
        "public.things [14] 23503 open",
        "public.things [14] 23503 open");
    for (String client : CLIENTS) {
      assertThat(blog().query("select id from %s.things where id > 12".formatted(client)))
          .containsExactly(List.of("15"));
    }
  }

  @Test
  void whatWasChangedAtAClientIsRepaired() {
    caravan.start();
    awaitThings();
    blog()
        .execute(
            "update blog.things set span = '1 s' where id = 1; delete from blog.things where id = 2");

    assertThat(reconcile()).isEqualTo("done: 1 missing, 1 stale, 0 surplus");

    awaitThings();
  }

  @Test
  void whoeverElseUsesThePoolerFindsItsSessionsAsTheyWere() throws SQLException {
    caravan.start();
    awaitThings();
    caravan.stop();

    List<Connection> all = new ArrayList<>();
    for (int session = 0; session < SESSIONS; session++) {
      Connection connection = DriverManager.getConnection(throughPooler() + "&prepareThreshold=0");
      connection.setAutoCommit(false);
      all.add(connection);
      try (Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  """
                  select current_setting('intervalstyle'), current_setting('bytea_output'),
                    current_setting('enable_seqscan'), current_setting('jit'),
                    (select count(*) from pg_prepared_statements)
                  """)) {
        row.next();
        assertThat(List.of(row.getString(1), row.getString(2), row.getString(3), row.getString(4)))
            .containsExactly("sql_standard", "escape", "on", "on");
        assertThat(row.getInt(5)).isZero();
      }
    }
    for (Connection connection : all) {
      connection.close();
    }
  }

  private void awaitThings() {
    for (String client : CLIENTS) {
      caravan.awaitEqual(
          "select id, %s, parent from things order by id".formatted(COLUMNS),
          client,
          "select id, %s, parent from %s.things order by id".formatted(COLUMNS, client));
    }
  }

  private String throughPooler() {
    return blog().url().replace(":" + blog().port(), ":" + pooler.port());
  }
}
