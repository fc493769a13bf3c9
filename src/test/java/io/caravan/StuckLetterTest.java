package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.caravan.client.Clients;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A client may have taken a change of which the hub could not say so: it was killed just then. */
class StuckLetterTest {
  private static final String STATE = "select state from caravan.dead_letter where key = '[1]'";

  private final Caravan caravan = new Caravan();

  @BeforeEach
  void aRefusedRow() {
    central(
        """
        create table users (id int primary key, name text);
        select caravan.track('users', '{name}');
        insert into users values (1, 'too long for the blog'), (2, 'Bob');
        """);
    caravan.client(
        "blog",
        "create table members (id int primary key, name varchar(10))",
        """
        [{"source": "public.users", "table": "public.members", "key": {"id": "id"},
          "columns": {"name": "name"}}]
        """);
    caravan.start();
    awaitState("open");
  }

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aLetterThatCouldNotBeResolvedInTimeIsResolvedLater() {
    central(
        """
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'not now'; end $$;
        create trigger refuse before update on caravan.dead_letter
        for each row when (new.state = 'resolved') execute function refuse();
        update users set name = 'fits' where id = 1;
        """);
    caravan.awaitEqual("select 'fits'", "blog", "select max(name) from members where id = 1");
    await().until(() -> why().contains("P0001"));

    central("drop trigger refuse on caravan.dead_letter");

    awaitState("resolved");
  }

  @Test
  void aHubThatStartsSendsAgainWhatMayHaveBeenTaken() {
    central("update users set name = 'fits' where id = 1");
    awaitState("resolved");
    caravan.stop();
    central("update caravan.dead_letter set state = 'retrying'");

    caravan.start();

    awaitState("resolved");
  }

  @Test
  void aHubThatStartsWithinABacklogSendsAgainWhatIsBehindIt() {
    caravan.stop();
    caravan.set("camel.kamelet.pump.pageRows", "2");
    central(
        """
        update users set name = 'fits' where id = 1;
        insert into users select i, 'user ' || i from generate_series(3, 9) as i;
        """);
    caravan
        .database("blog")
        .execute(
            "create function halt() returns trigger language plpgsql as $$ begin raise exception 'wait' using errcode = '53100'; end $$;"
                + "create trigger halt before insert on members for each row when (new.id > 4) execute function halt()");
    caravan.start();
    awaitState("resolved");
    await().until(() -> why().contains("53100"));
    caravan.stop();
    central("update caravan.dead_letter set state = 'open'");
    caravan.database("blog").execute("drop trigger halt on members");

    caravan.start();

    awaitState("resolved");
  }

  @Test
  void aHubThatStartsSendsNothingThatIsOnItsWay() {
    caravan.stop();
    central("select caravan.replay()");
    String entries = caravan.central().value("select count(*) from caravan.change");

    caravan.start();
    await()
        .until(
            () -> caravan.central().value("select attempts from caravan.dead_letter").equals("2"));
    central("update users set name = 'fits' where id = 1");
    awaitState("resolved");

    assertThat(caravan.central().value("select count(*) - 1 from caravan.change"))
        .isEqualTo(entries);
  }

  @Test
  void aReplaySendsWhatWasOnItsWay() {
    caravan.stop();
    central("update users set name = 'fits' where id = 1");
    caravan.start();
    awaitState("resolved");
    central("update caravan.dead_letter set state = 'retrying'");

    assertThat(caravan.central().value("select caravan.replay('blog')")).isEqualTo("1");

    awaitState("resolved");
  }

  private void central(String sql) {
    caravan.central().execute(sql);
  }

  private String why() {
    return (String)
        caravan
            .hub()
            .getCamelContext()
            .getRegistry()
            .lookupByNameAndType("clients", Clients.class)
            .status("blog")
            .get("why");
  }

  private void awaitState(String state) {
    await()
        .atMost(Duration.ofMinutes(2))
        .untilAsserted(
            () -> assertThat(caravan.central().query(STATE)).isEqualTo(List.of(List.of(state))));
  }
}
