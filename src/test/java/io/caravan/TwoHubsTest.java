package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Two hubs that serve the same client. */
class TwoHubsTest {
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
    caravan.client(
        "blog",
        "create table members (id bigint primary key, name text)",
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
        """);
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
  void aPageMadeForACursorThatWasSinceDeletedIsNotWritten() {
    Database blog = Postgres.shared().createDatabase("blog");
    blog.install(Path.of("sql/client"));
    String seenByTheOther = applyOnStep(blog, begin(blog)).get(1);

    blog.execute("delete from caravan.cursor");
    applyOnStep(blog, begin(blog));

    assertThat(applyOnStep(blog, seenByTheOther).get(0)).isEqualTo("stale");
  }

  private static String begin(Database blog) {
    return blog.value("select step from caravan.standing('blog', '[]')");
  }

  private static List<String> applyOnStep(Database blog, String step) {
    return blog.query(
            """
            select outcome, step from caravan.apply('blog', %s, '[]',
              '{"cursor": {}, "sources": {}, "cleared": [], "changes": {}}', '[]')
            """
                .formatted(step))
        .get(0);
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
