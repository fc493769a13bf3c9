package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.caravan.Postgres.Database;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/**
 * Central and clients that take nobody's connection but over TLS: with a certificate of an
 * authority of their own, passwords by SCRAM, or the hub's own certificate. Needs {@code openssl}.
 */
@Tag("slow")
class TlsTest {
  private static final String MAPPING =
      """
      [{"source": "public.users", "table": "public.members", "key": {"id": "id"}, "columns": {"name": "name"}}]
      """;
  private static final String USERS =
      """
      create table users (id int primary key, name text);
      select caravan.track('users', '{name}');
      insert into users values (1, 'Ada');
      """;
  private static final String SESSIONS_OF_THE_HUB =
      """
      select count(*) filter (where ssl) > 3, count(*) filter (where not ssl)
      from pg_stat_ssl join pg_stat_activity using (pid)
      where usename in ('hub', 'certified')
      """;

  private static Path folder;
  private static Postgres server;
  private static Database admin;

  private Caravan caravan;

  @BeforeAll
  static void aServerThatTakesOnlyTls() throws IOException {
    assumeTrue(Files.isExecutable(Path.of("/usr/bin/openssl")), "openssl is not installed");
    folder =
        Files.createTempDirectory(Files.createDirectories(Path.of("target", "tls")), "tls")
            .toAbsolutePath();
    authority("ca");
    authority("other-ca");
    certificate("valid", "localhost", 30);
    copy("valid", "server");
    certificate("expired", "localhost", -1);
    certificate("certified", "certified", 30);
    openssl("pkcs8 -topk8 -nocrypt -in certified.key -outform DER -out certified.pk8");
    Files.writeString(
        folder.resolve("pg_hba.conf"),
        """
        host all postgres all trust
        hostssl all hub all scram-sha-256
        hostssl all certified all cert
        """);
    server =
        new Postgres(
            Map.of(
                "ssl", "on",
                "ssl_ca_file", folder.resolve("ca.crt").toString(),
                "ssl_cert_file", folder.resolve("server.crt").toString(),
                "ssl_key_file", folder.resolve("server.key").toString(),
                "hba_file", folder.resolve("pg_hba.conf").toString()));
    admin = server.createDatabase("admin");
    admin.execute("create role hub login password 'secret'; create role certified login");
  }

  @AfterAll
  static void stopServer() {
    if (server != null) {
      server.close();
    }
  }

  @AfterEach
  void stop() {
    if (caravan != null) {
      caravan.close();
    }
  }

  @Test
  void aPasswordCrossesOnlyToAServerThatIsTheRightOne() {
    start("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt"));

    awaitAda();
    assertThat(query(SESSIONS_OF_THE_HUB)).isEqualTo("[[t, 0]]");
  }

  @Test
  void aCertificateOfTheHubTakesThePlaceOfAPassword() {
    caravan(
            "certified",
            "sslmode=verify-full&sslrootcert=%s&sslcert=%s&sslkey=%s"
                .formatted(
                    folder.resolve("ca.crt"),
                    folder.resolve("certified.crt"),
                    folder.resolve("certified.pk8")))
        .start();

    awaitAda();
    assertThat(query(SESSIONS_OF_THE_HUB)).isEqualTo("[[t, 0]]");
  }

  @Test
  void aPasswordThatWasRotatedIsReadFromItsFileAgain() throws IOException {
    Path password = Files.writeString(folder.resolve("password"), "secret\n");
    try {
      caravan("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt"))
          .set("central.password", "")
          .set("central.password.file", password.toString())
          .set("blog.password", "")
          .set("blog.password.file", password.toString())
          .start();
      awaitAda();

      admin.execute("alter role hub password 'another'");
      admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hub'");
      caravan.central().execute("update users set name = 'Byron'");
      awaitWhy("password authentication failed for user \"hub\"");
      Files.writeString(password, "another\n");

      caravan.awaitEqual("table users", "blog", "table members");
      WithBlog.awaitLong()
          .until(
              () ->
                  query(
                          "select count(*) from pg_stat_activity where application_name = 'caravan-listener' and usename = 'hub'")
                      .equals("[[1]]"));
    } finally {
      admin.execute("alter role hub password 'secret'");
    }
  }

  @Test
  void aPasswordFileThatIsNotThereIsNamed() {
    caravan("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt"))
        .set("blog.password.file", "no/such/file")
        .start();

    awaitWhy("The file no/such/file with the password cannot be read");
  }

  @Test
  void aServerThatAnotherAuthorityVouchesForIsRefused() {
    start("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("other-ca.crt"));

    awaitWhy("the server's certificate is not trusted");
  }

  @Test
  void aServerOfAnotherNameIsRefused() {
    start("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt"), "127.0.0.1");

    awaitWhy("The hostname 127.0.0.1 could not be verified");
  }

  @Test
  void anExpiredCertificateIsRefused() throws IOException {
    copy("expired", "server");
    admin.execute("select pg_reload_conf()");
    try {
      start("hub", "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt"));

      awaitWhy("the server's certificate has expired");
    } finally {
      copy("valid", "server");
      admin.execute("select pg_reload_conf()");
    }
  }

  @Test
  void aHubThatDoesWithoutTlsIsRefused() {
    start("hub", "sslmode=disable");

    awaitWhy("no pg_hba.conf entry");
  }

  private void start(String user, String tls) {
    start(user, tls, "localhost");
  }

  private void start(String user, String tls, String host) {
    caravan(user, tls).set("blog.url", url(caravan.database("blog"), host, tls)).start();
  }

  /** A central to which the hub has come already, so that what is wrong is wrong at the client. */
  private Caravan caravan(String user, String tls) {
    caravan = new Caravan(server);
    Database central = caravan.central();
    central.execute(USERS + "grant caravan_hub to " + user);
    Database blog = server.createDatabase("blog");
    blog.execute(
        """
        create table members (id int primary key, name text);
        grant select, insert, update, delete on members to %1$s;
        grant create on database %2$s to %1$s;
        """
            .formatted(user, blog.name()));
    caravan.client(blog, "blog", MAPPING);
    String right = "sslmode=verify-full&sslrootcert=" + folder.resolve("ca.crt");
    return caravan
        .set("central.url", url(central, "localhost", user.equals("hub") ? right : tls))
        .set("central.user", user)
        .set("central.password", "secret")
        .set("blog.url", url(blog, "localhost", tls))
        .set("blog.user", user)
        .set("blog.password", "secret");
  }

  private static String url(Database database, String host, String tls) {
    return "jdbc:postgresql://%s:%d/%s?%s".formatted(host, database.port(), database.name(), tls);
  }

  private void awaitAda() {
    caravan.awaitEqual("table users", "blog", "table members");
    caravan.central().execute("update users set name = 'Lovelace'");
    caravan.awaitEqual("table users", "blog", "table members");
  }

  private void awaitWhy(String why) {
    WithBlog.awaitLong()
        .untilAsserted(
            () ->
                assertThat(WithBlog.state(caravan, "blog"))
                    .satisfiesAnyOf(
                        state -> assertThat(state).containsEntry("state", "waiting"),
                        state -> assertThat(state).containsEntry("state", "paused"))
                    .extractingByKey("why")
                    .asString()
                    .contains(why)
                    .doesNotContain("secret"));
  }

  private static String query(String sql) {
    return admin.query(sql).toString();
  }

  private static void authority(String name) {
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=%1$s -keyout %1$s.key -out %1$s.crt"
            .formatted(name));
  }

  private static void certificate(String file, String name, int days) throws IOException {
    Files.writeString(folder.resolve(file + ".ext"), "subjectAltName = DNS:" + name);
    openssl(
        "req -newkey rsa:2048 -nodes -subj /CN=%2$s -keyout %1$s.key -out %1$s.csr"
            .formatted(file, name));
    openssl(
        "x509 -req -in %1$s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile %1$s.ext -days %2$d -out %1$s.crt"
            .formatted(file, days));
  }

  private static void copy(String from, String to) throws IOException {
    for (String kind : List.of(".crt", ".key")) {
      Files.copy(
          folder.resolve(from + kind),
          folder.resolve(to + kind),
          StandardCopyOption.REPLACE_EXISTING,
          StandardCopyOption.COPY_ATTRIBUTES);
    }
  }

  private static void openssl(String command) {
    try {
      Process process =
          new ProcessBuilder(("openssl " + command).split(" "))
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(folder.resolve("openssl.log").toFile())
              .start();
      assertThat(process.waitFor()).as(command).isZero();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
