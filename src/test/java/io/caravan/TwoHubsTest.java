package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import io.caravan.client.StoredPosition;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Two hubs that serve the same client. */
@Tag("slow")
class TwoHubsTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;

  private final Caravan caravan = new Caravan();

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void oneServesAndTheOtherStandsByUntilItIsNeeded() {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            insert into users values (1, 'Ada');
            """);
    caravan.client("blog", "create table members (id bigint primary key, name text)", MAPPING);
    Database blog = caravan.database("blog");
    blog.execute(
        """
        create table applied (n bigint generated always as identity, hub text);
        create function note() returns trigger language plpgsql as $$
          begin
            insert into public.applied (hub) values (current_setting('application_name'));
            return null;
          end
        $$;
        create trigger note after update on caravan.cursor for each row execute function note();
        """);
    Map<String, HubProcess> hubs = Map.of("one", start(blog, "one"), "two", start(blog, "two"));

    writeFor(Duration.ofSeconds(3));
    blog.execute("truncate applied");
    writeFor(Duration.ofSeconds(12));

    caravan.awaitEqual("table users", "blog", "table members");
    List<List<String>> serving = blog.query("select hub from applied group by hub");
    assertThat(serving).hasSize(1);
    String servingHub = serving.get(0).get(0);
    String other = servingHub.equals("one") ? "two" : "one";
    assertThat(hubs.get(other).output()).containsOnlyOnce("standing by: another hub serves it");

    hubs.get(servingHub).kill();
    caravan.central().execute("update users set name = 'served by the other'");

    caravan.awaitEqual("table users", "blog", "table members");
    assertThat(blog.value("select hub from applied order by n desc limit 1")).isEqualTo(other);
  }

  @Test
  void aPageMadeForACursorThatWasSinceDeletedIsNotWritten() throws Exception {
    Database blog = Postgres.shared().createDatabase("blog");
    blog.makeTables();
    blog.execute("create table members (id int primary key, name text)");
    StoredPosition seenByTheOther = position(blog);
    long step = applyOn(blog, seenByTheOther, seenByTheOther.step());
    assertThat(step).isPositive();

    blog.execute("delete from caravan.cursor");
    StoredPosition anew = position(blog);
    applyOn(blog, anew, anew.step());

    assertThat(applyOn(blog, seenByTheOther, step)).isZero();
  }

  private static StoredPosition position(Database blog) throws Exception {
    try (Connection connection = blog.dataSource().getConnection()) {
      return StoredPosition.of(connection, "blog", MAPPING);
    }
  }

  /** The step after an empty page was applied on another one; 0: it was not. */
  private static long applyOn(Database blog, StoredPosition position, long step) throws Exception {
    try (Connection connection = blog.dataSource().getConnection();
        PreparedStatement page =
            connection.prepareStatement(
                position
                    .plan()
                    .statements(blog.dataSource()::getConnection, Map.of())
                    .page(Set.of()))) {
      page.setString(1, "{}");
      page.setString(2, "blog");
      page.setLong(3, step);
      page.setString(4, "{}");
      try (ResultSet row = page.executeQuery()) {
        row.next();
        return row.getLong("step");
      }
    }
  }

  private HubProcess start(Database blog, String name) {
    caravan.set("blog.url", blog.url() + "&ApplicationName=" + name);
    return caravan.startProcess().awaitStarted();
  }

  private void writeFor(Duration time) {
    long end = System.nanoTime() + time.toNanos();
    await()
        .atMost(time.multipliedBy(2))
        .pollInterval(Duration.ofMillis(10))
        .until(
            () -> {
              caravan.central().execute("update users set name = clock_timestamp()");
              return System.nanoTime() - end > 0;
            });
  }
}
