package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.caravan.Postgres.Database;
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
  private static final String READ =
      "select page from caravan.read(%s, '[{\"source\": \"public.%s\", \"fingerprint\": \"\"}]', 10, 1000, %s)";

  private final Database central = Postgres.shared().createDatabase("central");
  private final String hub = "hub_of_" + central.name();

  @BeforeEach
  void usersAndSalaries() {
    central.install(Path.of("sql/central"));
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
    assertThat(asHub(READ.formatted("null", "users", "null"))).contains("Ada");
    assertThat(asHub("select name from caravan.rows_1")).isEqualTo("Ada");
  }

  @Test
  void aLimitedHubReadsNothingElse() throws SQLException {
    String mark =
        "'{\"epoch\": \"'||caravan.epoch()||'\", \"snapshot\": \"'||pg_current_snapshot()||'\", \"filled\": {}, %s}'";
    assertThatThrownBy(() -> asHub(READ.formatted("null", "salaries", "null")))
        .hasMessageContaining("may not read the source public.salaries")
        .hasMessageContaining("select caravan.allow(");
    assertThatThrownBy(() -> asHub("select * from caravan.rows_2"))
        .hasMessageContaining("permission denied");
    assertThatThrownBy(() -> asHub("select * from salaries"))
        .hasMessageContaining("permission denied");
    String cursor =
        central.value(
            "select "
                + mark.formatted(
                    "\"fill\": {\"source\": \"public.salaries\", \"mark\": \"1/\", \"after\": null, \"rows\": 0, \"total\": 1, \"since\": \"2000-01-01\"}"));
    assertThat(read("'" + cursor + "'", "null")).contains("Ada").doesNotContain("fortune");
    String sweep =
        central.value(
            "select "
                + mark.replace("{}", "{\"public.users\": \"1/\"}")
                    .formatted(
                        "\"sweep\": {\"source\": \"public.salaries\", \"key\": [\"id\"], \"target\": 0, \"after\": null}"));
    assertThatThrownBy(() -> read("'" + sweep + "'", "'{\"keys\": [[1]], \"targets\": 1}'"))
        .hasMessageContaining("may not read the source public.salaries");
  }

  @Test
  void whatWasAllowedStaysSoWhenTheSourceIsTrackedWithOtherColumns() throws SQLException {
    central.execute("select caravan.track('users', '{}')");
    central.execute("select caravan.track('users', '{name}')");
    central.install(Path.of("sql/central"));

    assertThat(asHub(READ.formatted("null", "users", "null"))).contains("Ada");
  }

  @Test
  void aHubIsAllowedOtherSourcesInsteadOfThoseItHad() throws SQLException {
    central.execute("select caravan.allow('%s', '{public.salaries}')".formatted(hub));

    assertThat(asHub(READ.formatted("null", "salaries", "null"))).contains("fortune");
    assertThatThrownBy(() -> asHub(READ.formatted("null", "users", "null")))
        .hasMessageContaining("may not read");
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

  private String read(String cursor, String held) throws SQLException {
    return asHub(READ.formatted(cursor, "users", held));
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
