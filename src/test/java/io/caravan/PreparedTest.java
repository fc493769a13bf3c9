package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.nio.file.Path;
import java.sql.SQLException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What a client keeps of a mapping from page to page. */
class PreparedTest {
  private static final String MEMBERS =
      """
      {"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"found": "name"}}
      """;
  private static final String SHELVES =
      """
      {"source": "public.shelves", "table": "public.shelves", "key": {"id": "id"}, "columns": {"caravan.rows": "room"}}
      """;
  private static final String ORDERS =
      """
      {"source": "public.orders", "table": "public.orders", "key": {"id": "id"}, "columns": {"price": "price"}}
      """;
  private static final String WRITERS =
      """
      select string_agg(format('%s %s', proname, xmin), ', ' order by proname)
      from pg_proc where pronamespace = 'caravan'::regnamespace and proname ~ '_[0-9]+$'
      """;

  private final Database central = Postgres.shared().createDatabase("central");
  private final Database blog = Postgres.shared().createDatabase("blog");
  private ByHand hand;

  @BeforeEach
  void sources() throws SQLException {
    central.install(Path.of("sql/central"));
    central.execute(
        """
        create table users (id int primary key, name text);
        create table shelves (id int primary key, room text);
        select caravan.track('users', '{name}'), caravan.track('shelves', '{room}');
        insert into users values (1, 'Ada');
        insert into shelves values (1, 'cellar');
        """);
    blog.install(Path.of("sql/client"));
    blog.execute(
        """
        create table members (id int primary key, found text);
        create table shelves (id int primary key, "caravan.rows" text);
        """);
    map(MEMBERS + "," + SHELVES);
  }

  @AfterEach
  void stop() throws SQLException {
    hand.close();
  }

  @Test
  void columnsMayHaveTheNamesThatItsFunctionsUse() {
    assertThat(
            blog.query("select found from members union all select \"caravan.rows\" from shelves"))
        .hasToString("[[Ada], [cellar]]");
  }

  @Test
  void staysAsItIsWhileTheMappingAndTheTablesDo() throws SQLException {
    String writers = blog.value(WRITERS);
    assertThat(writers.split(", ")).hasSize(4);

    central.execute("update users set name = 'Countess'");
    hand.pump(); // which asks where the client stands, as the hub does now and then

    assertThat(blog.value("select found from members")).isEqualTo("Countess");
    assertThat(blog.value(WRITERS)).isEqualTo(writers);
    assertThat(blog.value("select last_value from caravan.target_id_seq")).isEqualTo("2");
  }

  @Test
  void replacesWhatItWasWhenATargetHasAnotherPlaceAmongTheOthers() throws SQLException {
    central.execute(
        "create table orders (id int primary key, price numeric); select caravan.track('orders', '{price}'); insert into orders values (1, 7)");
    blog.execute("create table orders (id int primary key references members, price real)");
    hand.close();
    map(ORDERS + "," + MEMBERS);

    blog.execute("alter table orders alter price type numeric, drop constraint orders_id_fkey");

    assertThat(
            blog.value(
                """
                select cardinality(caravan.prepared(client, mapping, jsonb_build_object(source, description)))
                from caravan.prepared
                where source = 'public.orders'
                """))
        .isEqualTo("1");
  }

  @Test
  void isMadeAnewWhenAColumnGetsAnotherType() throws SQLException {
    blog.execute("alter table members alter found type varchar(10)");
    central.execute("update users set name = 'Countess'");

    hand.pump();

    assertThat(blog.value("select found from members")).isEqualTo("Countess");
    assertThat(
            blog.value(
                "select prosrc from pg_proc where proname ~ 'upsert.*' and prosrc ~ 'found'"))
        .contains("::character varying");
  }

  @Test
  void isDroppedForASourceThatIsNoLongerMapped() throws SQLException {
    hand.close();
    map(MEMBERS);

    assertThat(blog.value(WRITERS).split(", ")).hasSize(2);
    assertThat(blog.value("select string_agg(source, ', ') from caravan.prepared"))
        .isEqualTo("public.users");
  }

  @Test
  void isForTheHubAlone() {
    assertThat(
            blog.value(
                """
                select count(*) from pg_proc
                where pronamespace = 'caravan'::regnamespace and has_function_privilege('public', oid, 'execute')
                """))
        .isEqualTo("0");
    assertThat(
            blog.value(
                """
                select bool_and(has_function_privilege('caravan_hub', oid, 'execute')) from pg_proc
                where pronamespace = 'caravan'::regnamespace and proname ~ '_[0-9]+$'
                """))
        .isEqualTo("t");
  }

  private void map(String targets) throws SQLException {
    hand = new ByHand(central, blog, "blog", "[" + targets + "]");
    hand.pump();
  }
}
