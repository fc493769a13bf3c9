package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
import io.caravan.client.Cursor;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The login of a hub can be limited to sources, in central. */
class ReadersTest {
  private static final String STORE =
      """
      select caravan_internal.store_dead_letters('%s', '[{"source": "public.%s", "key": [1], "sqlstate": "22000", "message": "bad"}]', '[]', 10)
      """;
  private static final String RESOLVE = "select caravan_internal.resolve('%s', '{%s}', '[]')";
  private static final String MEASURED =
      "select dead_letters from caravan_internal.measure('{}', '{}', 1)";
  private static final String REFUSING =
      "select string_agg(client, ', ' order by client) from caravan_internal.refusing";
  private static final String CLAIM =
      """
      select run from caravan_internal.claim_run('%s', '[{"source": "public.%s", "table": "public.t"}]', 'hub', null, 0)
      """;

  private final Database central = Postgres.shared().createCentral();
  private final String hub = "hub_of_" + central.name();

  @BeforeEach
  void usersAndSalaries() {
    central.execute(
        """
        create table users (id int primary key, name text);
        create table salaries (id int primary key, amount text);
        select caravan.track('users', '{name}');
        select caravan.track('salaries', '{amount}');
        insert into users values (1, 'Ada');
        insert into salaries values (1, 'a fortune');
        create role %1$s login in role caravan_limited_hub;
        select caravan.allow('%1$s', '{public.users}');
        """
            .formatted(hub));
  }

  @Test
  void aLimitedHubReadsWhatItWasAllowed() throws SQLException {
    assertThat(read("users")).contains("Ada");
    assertThat(asHub("select name from caravan_internal.rows_1")).isEqualTo("Ada");
  }

  @Test
  void aLimitedHubReadsNothingElse() throws SQLException {
    String mark =
        "'{\"epoch\": \"'||caravan_internal.epoch()||'\", \"snapshot\": \"'||pg_current_snapshot()||'\", \"filled\": {}, %s}'";
    assertThatThrownBy(() -> read("salaries"))
        .hasMessageContaining("may not read the source public.salaries")
        .hasMessageContaining("select caravan.allow(");
    assertThatThrownBy(() -> asHub("select * from caravan_internal.rows_2"))
        .hasMessageContaining("permission denied");
    assertThatThrownBy(() -> asHub("select * from salaries"))
        .hasMessageContaining("permission denied");
    String cursor =
        central.value(
            "select "
                + mark.formatted(
                    "\"fill\": {\"source\": \"public.salaries\", \"mark\": \"1/f\", \"after\": null, \"rows\": 0, \"total\": 1, \"since\": \"2000-01-01\"}"));
    assertThat(readAt(cursor)).contains("Ada").doesNotContain("fortune");
  }

  @Test
  void aLimitedHubHasNothingComparedButWhatItWasAllowed() throws SQLException {
    String doubt =
        """
        select caravan_internal.doubt('blog', '[{"source": "public.users", "table": "u"}, {"source": "public.salaries", "table": "s"}]', '{public.%s}', 'epoch')
        """;
    asHub(doubt.formatted("users"));

    assertThatThrownBy(() -> asHub(doubt.formatted("salaries")))
        .hasMessageContaining("may not read the source public.salaries");
    String run =
        central.value(
            "insert into caravan.reconciliation (client, source, target, reason) values ('blog', 'public.salaries', 's', 'epoch') returning id");
    assertThatThrownBy(
            () -> asHub("select caravan_internal.suspect_gone(%s, '{[1],[2]}')".formatted(run)))
        .hasMessageContaining("may not read the source public.salaries");
    assertThat(
            central.value(
                "select string_agg(source, ', ') from caravan.verification where doubt is not null"))
        .isEqualTo("public.users");
  }

  @Test
  void aLimitedHubReadsTheChangesOfWhatItWasAllowedAndNoOthers() throws SQLException {
    Cursor cursor = reading().page(null, Reading.of("public.users")).cursor();
    central.execute("update users set name = 'Countess'; update salaries set amount = 'nothing'");

    assertThat(reading().page(cursor, Reading.of("public.users")).page())
        .contains("Countess")
        .doesNotContain("salaries");
    assertThat(asHub("select string_agg(distinct source::text, ',') from caravan_internal.log"))
        .isEqualTo("1");
    assertThatThrownBy(() -> asHub("select key from caravan.change"))
        .hasMessageContaining("permission denied");
    assertThatThrownBy(() -> asHub("select v2 from caravan_internal.found_2('[1]')"))
        .hasMessageContaining("permission denied");
  }

  @Test
  void whatWasAllowedStaysSoWhenTheSourceIsTrackedWithOtherColumns() throws SQLException {
    central.execute("select caravan.track('users', '{}')");
    central.execute("select caravan.track('users', '{name}')");
    central.install(Path.of("sql/central"));

    assertThat(read("users")).contains("Ada");
  }

  @Test
  void aHubIsAllowedOtherSourcesInsteadOfThoseItHad() throws SQLException {
    central.execute("select caravan.allow('%s', '{public.salaries}')".formatted(hub));

    assertThat(read("salaries")).contains("fortune");
    assertThatThrownBy(() -> read("users")).hasMessageContaining("may not read");
  }

  @Test
  void aHubThatMayReadAllCannotBeLimited() {
    central.execute("grant caravan_hub to " + hub);

    assertThatThrownBy(() -> central.execute("select caravan.allow('%s', '{}')".formatted(hub)))
        .hasMessageContaining("may read all sources")
        .hasMessageContaining("revoke caravan_hub");
  }

  @Test
  void aSourceThatIsNotTrackedIsNamed() {
    assertThatThrownBy(
            () -> central.execute("select caravan.allow('%s', '{public.user}')".formatted(hub)))
        .hasMessageContaining("'public.user' is not tracked");
  }

  @Test
  void aLimitedHubSpeaksOfNoDeadLettersButThoseOfWhatItWasAllowed() throws SQLException {
    central.execute(STORE.formatted("shop", "salaries"));

    assertThatThrownBy(() -> asHub(STORE.formatted("blog", "salaries")))
        .hasMessageContaining("may not read the source public.salaries");
    assertThatThrownBy(
            () -> asHub(RESOLVE.formatted("shop", "\"changes\": {\"public.salaries\": [[[1]]]}")))
        .hasMessageContaining("may not read the source public.salaries");
    assertThatThrownBy(() -> asHub(RESOLVE.formatted("shop", "\"cleared\": [\"public.salaries\"]")))
        .hasMessageContaining("may not read the source public.salaries");
    asHub(STORE.formatted("blog", "users"));
    asHub(RESOLVE.formatted("blog", "\"changes\": {\"public.users\": [[[1], \"Ada\"]]}"));

    assertThat(letters()).isEqualTo("shop public.salaries open, blog public.users resolved");
  }

  @Test
  void aHubThatIsLimitedToClientsSpeaksForNoOther() throws SQLException {
    central.execute("select caravan.allow('%s', '{public.users}', '{blog}')".formatted(hub));
    central.execute(STORE.formatted("shop", "users"));
    String cursor = central.value("select jsonb_build_object('snapshot', pg_current_snapshot())");

    for (String client : new String[] {"shop", "*"}) {
      for (String call :
          new String[] {
            STORE.formatted(client, "users"),
            RESOLVE.formatted(client, "\"changes\": {\"public.users\": [[[1], \"Ada\"]]}"),
            "select caravan_internal.resend('%s', '%s')".formatted(client, cursor),
            CLAIM.formatted(client, "users")
          }) {
        assertThatThrownBy(() -> asHub(call))
            .hasMessageContaining("may not serve the client " + client)
            .hasMessageContaining("select caravan.allow(");
      }
    }
    asHub(STORE.formatted("blog", "users"));
    asHub("select caravan_internal.resend('blog', '%s')".formatted(cursor));
    asHub(CLAIM.formatted("blog", "users"));

    assertThat(letters()).isEqualTo("shop public.users open, blog public.users open");
  }

  @Test
  void aHubThatIsLimitedToClientsHearsOfTheDeadLettersOfNoOther() throws SQLException {
    for (String client : new String[] {"blog", "shop", "*"}) {
      central.execute(STORE.formatted(client, "users"));
    }
    central.execute("select caravan.allow('%s', '{public.users}', '{blog}')".formatted(hub));

    assertThat(asHub(MEASURED)).isEqualTo("{\"blog\": 1}");
    assertThat(asHub(REFUSING)).isEqualTo("blog");
    assertThat(reading().page(null, Reading.of("public.users")).refusing()).containsExactly("blog");
  }

  @Test
  void aHubThatIsLimitedToSourcesHearsOfNoDeadLettersOfOthers() throws SQLException {
    central.execute(STORE.formatted("blog", "users"));
    central.execute(STORE.formatted("blog", "salaries"));
    central.execute(STORE.formatted("payroll", "salaries"));

    assertThat(asHub(MEASURED)).isEqualTo("{\"blog\": 1}");
    assertThat(asHub(REFUSING)).isEqualTo("blog");
    assertThat(central.value(MEASURED)).isEqualTo("{\"blog\": 2, \"payroll\": 1}");
    assertThat(central.value(REFUSING)).isEqualTo("blog, payroll");
  }

  @Test
  void aLimitedHubTouchesNoRunsButThoseOfWhatItWasAllowed() throws SQLException {
    central.execute(
        "select caravan_internal.note_targets('shop', '[{\"source\": \"public.salaries\", \"table\": \"public.pay\"}]')");
    central.execute("select caravan.reconcile('shop')");
    String run = central.value("select id from caravan.reconciliation");

    assertThatThrownBy(() -> asHub(CLAIM.formatted("shop", "salaries")))
        .hasMessageContaining("may not read the source public.salaries");
    for (String call :
        new String[] {
          "end_run(%s, 'done')",
          "finish_run(%s, true)",
          "repair(%s)",
          "suspect_keys(%s, '{[1]}')",
          "suspect_noted(%s, '{[1]}')",
          "run_failed(%s, '', '')",
          "source_of_run(%s)",
          "note(%s, '{}')",
          "progress(%s)"
        }) {
      assertThatThrownBy(() -> asHub("select caravan_internal." + call.formatted(run)))
          .hasMessageContaining("may not read the source public.salaries");
    }
    assertThat(central.value("select state from caravan.reconciliation")).isEqualTo("requested");
  }

  private String letters() {
    return central.value(
        "select string_agg(concat_ws(' ', client, source, state), ', ' order by id) from caravan.dead_letter");
  }

  private String read(String source) {
    return reading().page(null, Reading.of("public." + source)).page();
  }

  private String readAt(String cursor) {
    return reading().page(Cursor.parse(cursor), Reading.of("public.users"), 10, 1000, null).page();
  }

  private Reading reading() {
    return Reading.as(central.url().replace("user=postgres", "user=" + hub));
  }

  private String asHub(String query) throws SQLException {
    String url = central.url().replace("user=postgres", "user=" + hub);
    try (Connection connection = DriverManager.getConnection(url);
        Statement statement = connection.createStatement();
        ResultSet answer = statement.executeQuery(query)) {
      answer.next();
      return answer.getString(1);
    }
  }
}
