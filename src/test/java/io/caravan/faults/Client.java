package io.caravan.faults;

import java.util.List;

/** The clients, each of another kind: its tables, its mapping, and when it equals central. */
enum Client {
  BLOG(
      "members",
      "mail",
      """
      create table members (user_id bigint primary key, nickname text, mail text, rev bigint, karma int default 1);
      insert into members values (-1, 'own', 'own@example.org', 0, 99);
      """,
      """
      [{"source": "public.users", "table": "public.members", "key": {"user_id": "id"},
        "columns": {"nickname": "name", "mail": "lower(email)", "rev": "version"}},
       {"source": "public.beat", "table": "public.beat", "key": {"id": "id"}, "columns": {"at": "at"}}]
      """,
      List.of(
          new Copy(
              "select id, name, lower(email), version from users",
              "select user_id, nickname, mail, rev from members where user_id >= 0"),
          new Copy(
              "select -1, 'own', 'own@example.org', 0, 99",
              "select user_id, nickname, mail, rev, karma from members where user_id < 0"))),
  SHOP(
      "customer",
      "full_name",
      """
      create table customer (account_id bigint primary key, full_name text, email text unique, rev bigint);
      create table purchase (
        no bigint primary key, customer_id bigint not null references customer, item text, total numeric(12, 2),
        rev bigint
      );
      """,
      """
      [{"source": "public.users", "table": "public.customer", "key": {"account_id": "id"},
        "columns": {"full_name": "name", "email": "email", "rev": "version"}},
       {"source": "public.orders", "table": "public.purchase", "key": {"no": "id"},
        "columns": {"customer_id": "user_id", "item": "item", "total": "amount", "rev": "version"}},
       {"source": "public.beat", "table": "public.beat", "key": {"id": "id"}, "columns": {"at": "at"}}]
      """,
      List.of(
          new Copy(
              "select id, name, email, version from users",
              "select account_id, full_name, email, rev from customer"),
          new Copy(
              "select id, user_id, item, amount, version from orders",
              "select no, customer_id, item, total, rev from purchase"))),
  FORUM(
      "profiles",
      "contact",
      """
      create table profiles (uid bigint primary key, handle text, contact text not null, rev bigint);
      create table baskets (id bigint primary key, cents bigint, rev bigint);
      """,
      """
      [{"source": "public.users", "table": "public.profiles", "key": {"uid": "id"},
        "columns": {"handle": "name", "contact": "email", "rev": "version"},
        "where": "email is not null", "rows": "central"},
       {"source": "public.orders", "table": "public.baskets", "key": {"id": "id"},
        "columns": {"cents": "amount * 100", "rev": "version"}, "rows": "central"},
       {"source": "public.beat", "table": "public.beat", "key": {"id": "id"}, "columns": {"at": "at"}}]
      """,
      List.of(
          new Copy(
              "select id, name, email, version from users where email is not null",
              "select uid, handle, contact, rev from profiles"),
          new Copy(
              "select id, (amount * 100)::bigint, version from orders",
              "select id, cents, rev from baskets")));

  /** Its table of users. */
  final String table;

  /** A mapped column of that. */
  final String column;

  final String ddl;
  final String mapping;

  @SuppressWarnings("ImmutableEnumChecker") // List.of is
  final List<Copy> copies;

  Client(String table, String column, String ddl, String mapping, List<Copy> copies) {
    this.table = table;
    this.column = column;
    this.ddl = ddl;
    this.mapping = mapping;
    this.copies = copies;
  }

  /** What it is called in the hub. */
  String id() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /** Two queries that return the same, in whatever order, when the client is in step. */
  record Copy(String central, String client) {}
}
