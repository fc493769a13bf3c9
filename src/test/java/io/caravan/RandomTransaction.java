package io.caravan;

import static java.sql.Connection.TRANSACTION_READ_COMMITTED;
import static java.sql.Connection.TRANSACTION_REPEATABLE_READ;

import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * A transaction over {@link #TABLES}: what users' programs do to their tables, and more often than
 * they do it what is hard to follow. It is drawn without a look into the database, so that the same
 * random numbers make the same statements.
 */
final class RandomTransaction {
  /** Two sources, one the other's parent: their keys change, and their emails move. */
  static final String TABLES =
      """
      create table users (
        id bigint primary key, name text, email text unique, site text, visits int default 0
      );
      create table orders (
        user_id bigint references users on update cascade on delete cascade,
        no int,
        amount numeric(12, 2),
        memo text,
        gift_for bigint references users on update cascade on delete set null,
        printed int default 0,
        primary key (user_id, no)
      );
      create index on orders (gift_for);
      select caravan.track('users', '{name, email, site}');
      select caravan.track('orders', '{amount, memo, gift_for}', 'row');
      """;

  private static final String SAVEPOINT = "savepoint here";
  private static final String BACK = "rollback to here";
  private static final String SWAP_EMAILS =
      """
      do $$
      declare
        one text := (select email from users where id = %1$s);
        other text := (select email from users where id = %2$s);
      begin
        update users set email = null where id in (%1$s, %2$s);
        update users set email = other where id = %1$s;
        update users set email = one where id = %2$s;
      end
      $$
      """;

  private static final int USERS = 400;
  private static final int POPULAR = 20;
  private static final int EMAILS = 150;
  private static final int ORDERS_OF_A_USER = 4;
  private static final List<String> TEXTS =
      List.of(
          "Ada", "O'Neil", "Zoë 🐪", "\\", "\"", "", "a\n\tb", "{\"a\": [1]}", "${body} {{x}} :?x");
  private static final List<String> SITES = List.of("'blog'", "'shop'", "'forum'", "null");

  private final Random random;
  private final List<String> statements = new ArrayList<>();
  private final boolean repeatableRead;
  private final boolean commits;

  RandomTransaction(Random random) {
    this.random = random;
    boolean slow = oneIn(30);
    repeatableRead = oneIn(10);
    commits = !oneIn(8);
    for (int n = 1 + random.nextInt(6); n > 0; n--) {
      if (oneIn(6)) {
        statements.add(SAVEPOINT);
        addSomething();
        addSomething();
        statements.add(BACK);
      }
      addSomething();
      if (slow) {
        statements.add("select pg_sleep(%s)".formatted(random.nextFloat()));
      }
    }
  }

  /**
   * Runs it. What is refused (a key that is there already, a lock that another holds for long) is
   * undone alone; a deadlock or a serialization failure undoes the whole transaction.
   *
   * @return whether it was committed
   */
  boolean run(Connection connection) throws SQLException {
    connection.setTransactionIsolation(
        repeatableRead ? TRANSACTION_REPEATABLE_READ : TRANSACTION_READ_COMMITTED);
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      statement.setEscapeProcessing(false);
      for (String sql : statements) {
        if (sql.equals(SAVEPOINT) || sql.equals(BACK)) {
          statement.execute(sql);
        } else {
          executeOrUndo(connection, statement, sql);
        }
      }
      if (commits) {
        connection.commit();
        return true;
      }
    } catch (SQLException e) {
      if (!e.getSQLState().startsWith("40")) {
        throw e;
      }
    }
    connection.rollback();
    return false;
  }

  private static void executeOrUndo(Connection connection, Statement statement, String sql)
      throws SQLException {
    Savepoint before = connection.setSavepoint();
    try {
      statement.execute(sql);
      connection.releaseSavepoint(before);
    } catch (SQLException e) {
      boolean refused = e.getSQLState().startsWith("23");
      boolean locked = e.getSQLState().equals("55P03");
      if (!refused && !locked) {
        throw e;
      }
      connection.rollback(before);
    }
  }

  private void addSomething() {
    statements.addAll(random.nextInt(17) < 10 ? changeUsers() : changeOrders());
  }

  private List<String> changeUsers() {
    return switch (random.nextInt(10)) {
      case 0 -> List.of("insert into users (id, name, email, site) values (" + user() + ")");
      case 1 ->
          List.of(
              """
              insert into users (id, name, email, site) values (%s)
              on conflict (id) do update set name = excluded.name, email = excluded.email
              """
                  .formatted(user()));
      case 2 ->
          List.of(
              """
              insert into users (id, name, site) select id, %s, %s from generate_series(%s, %s, 3) as id
              on conflict do nothing
              """
                  .formatted(text(), site(), id(), USERS));
      case 3 ->
          List.of(
              "update users set name = %s, site = %s where id = %s"
                  .formatted(text(), site(), id()));
      case 4 -> List.of("update users set name = name || '+' where id " + few());
      case 5 -> List.of("update users set visits = visits + 1, name = name where id " + few());
      case 6 -> List.of("update users set id = %s where id = %s".formatted(id(), id()));
      case 7 -> List.of("delete from users where id " + (oneIn(5) ? few() : "= " + id()));
      case 8 -> {
        String email = email();
        yield List.of(
            "update users set email = null where email = " + email,
            "update users set email = %s where id = %s".formatted(email, id()));
      }
      default -> List.of(SWAP_EMAILS.formatted(id(), id()));
    };
  }

  private List<String> changeOrders() {
    return switch (random.nextInt(7)) {
      case 0, 1 ->
          List.of(
              """
              insert into orders (user_id, no, amount, memo, gift_for)
              select id, %s, %s, %s, %s from users where id %s
              on conflict (user_id, no) do update
                set amount = excluded.amount, memo = excluded.memo, gift_for = excluded.gift_for
              """
                  .formatted(no(), amount(), text(), oneIn(2) ? id() : "null", few()));
      case 2 -> List.of("insert into orders (user_id, no) values (%s, %s)".formatted(id(), no()));
      case 3 -> List.of("update orders set amount = amount - 0.1 where user_id " + few());
      case 4 -> List.of("update orders set printed = printed + 1 where user_id " + few());
      case 5 -> List.of("update orders set user_id = %s where user_id = %s".formatted(id(), id()));
      default ->
          List.of(
              oneIn(25)
                  ? "truncate " + (oneIn(2) ? "users, orders" : "orders")
                  : "delete from orders where user_id %s and no = %s".formatted(few(), no()));
    };
  }

  private boolean oneIn(int n) {
    return random.nextInt(n) == 0;
  }

  private String user() {
    return String.join(", ", "" + id(), text(), email(), site());
  }

  /** Mostly one that others work on too. */
  private int id() {
    return 1 + random.nextInt(random.nextBoolean() ? POPULAR : USERS);
  }

  private String few() {
    int first = id();
    return "between %s and %s".formatted(first, first + random.nextInt(12));
  }

  private int no() {
    return 1 + random.nextInt(ORDERS_OF_A_USER);
  }

  private String amount() {
    return "%d.%02d".formatted(random.nextInt(1_000_000), random.nextInt(100));
  }

  private String email() {
    return random.nextInt(5) == 0
        ? "null"
        : "'User%s@Example.org'".formatted(random.nextInt(EMAILS));
  }

  private String text() {
    return "'" + TEXTS.get(random.nextInt(TEXTS.size())).replace("'", "''") + "'";
  }

  private String site() {
    return SITES.get(random.nextInt(SITES.size()));
  }
}
