package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * However large a backlog is, the hub's memory stays flat: its pages are bounded by rows and by
 * bytes.
 */
@Tag("slow")
class BigTransactionTest {
  private static final List<String> CLIENTS = List.of("blog", "shop", "forum");

  private final Caravan caravan = new Caravan();

  @AfterEach
  void stop() {
    caravan.close();
  }

  @Test
  void aHundredThousandRowsOfOneTransactionReachThreeClientsThroughASmallHeap() {
    given("insert into users select i, 'user ' || i from generate_series(1, 100000) as i");
    HubProcess hub = caravan.startProcess("-Xmx256m");
    awaitEqual();

    caravan.central().execute("update users set name = name || '!'");

    awaitEqual();
    assertThat(hub.isAlive()).isTrue();
  }

  @Test
  void wideRowsOfFarMoreBytesThanTheHeapFlowThroughIt() {
    given(
        "insert into users select i, repeat(md5(i::text), 6250) from generate_series(1, 1500) as i");
    HubProcess hub = caravan.startProcess("-Xmx256m");
    awaitEqual();

    caravan.central().execute("update users set name = name || '!' where id <= 300");

    awaitEqual();
    assertThat(hub.isAlive()).isTrue();
  }

  private void given(String users) {
    caravan
        .central()
        .execute(
            """
            create table users (id int primary key, name text);
            select caravan.track('users', '{name}');
            """);
    caravan.central().execute(users);
    for (String client : CLIENTS) {
      caravan.client(
          client,
          "create table members (user_id int primary key, nickname text)",
          """
          [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
            "columns": {"nickname": "name"}}]
          """);
    }
  }

  private void awaitEqual() {
    for (String client : CLIENTS) {
      caravan.awaitEqual(
          "select count(*), sum(hashtext(id || name)) from users",
          client,
          "select count(*), sum(hashtext(user_id || nickname)) from members");
    }
  }
}
