package io.caravan;

import static org.awaitility.Awaitility.await;

import io.caravan.client.ClientTables;
import io.caravan.install.InstallScript;
import io.zonky.test.db.postgres.embedded.DefaultPostgresBinaryResolver;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import io.zonky.test.db.postgres.embedded.PgBinaryResolver;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import javax.sql.DataSource;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.apache.commons.compress.compressors.xz.XZCompressorOutputStream;
import org.apache.commons.io.FileUtils;
import org.awaitility.Awaitility;
import org.postgresql.ds.PGSimpleDataSource;

/**
 * A PostgreSQL server for tests: real, without fsync, gone when it is closed. It runs as root too,
 * and writes only below {@code target/}; its log is {@code target/postgres/server.log}.
 *
 * <p>{@code -Dpostgres.home=/usr/lib/postgresql/15} runs the tests on an installed PostgreSQL.
 */
public final class Postgres implements AutoCloseable {
  private static final Path HOME = Path.of("target", "postgres").toAbsolutePath();

  static {
    // How long is not what is tested: a machine may be slow, and is not waited for where it isn't.
    Awaitility.setDefaultTimeout(Duration.ofMinutes(2));
  }

  private static volatile boolean isShared;

  private final Map<String, String> settings;
  private final PgBinaryResolver binaries;
  private final Path data;
  private final AtomicInteger databases = new AtomicInteger();
  private EmbeddedPostgres server;
  private Database installed;

  /**
   * Starts a server of its own, for a test that stops it or that needs other settings than {@link
   * #shared()} has.
   *
   * @param settings server settings by name, for instance {@code wal_level}
   */
  public Postgres(Map<String, String> settings) {
    this(
        settings,
        temporaryDirectory("data"),
        System.getProperty("postgres.home") == null
            ? DefaultPostgresBinaryResolver.INSTANCE
            : Postgres::installedBinaries);
  }

  private Postgres(Map<String, String> settings, Path data, PgBinaryResolver binaries) {
    this.binaries = binaries;
    this.settings = Map.copyOf(settings);
    this.data = data;
    try {
      server = launch(0);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The one server that all tests of a JVM share; started when first asked for. */
  public static Postgres shared() {
    return Shared.SERVER;
  }

  /** Drops what tests have made on the {@link #shared()} server, if there is one. */
  static void dropShared() {
    if (isShared) {
      shared().dropDatabases();
    }
  }

  /** A server of an older version than the others, for what must work between versions. */
  public static Postgres older() {
    return new Postgres(Map.of(), temporaryDirectory("data"), Postgres::olderBinaries);
  }

  /** The archive holds a link: an executable that is linked to finds its libraries itself. */
  private static InputStream installedBinaries(String system, String machine) throws IOException {
    ByteArrayOutputStream archive = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar =
        new TarArchiveOutputStream(new XZCompressorOutputStream(archive))) {
      TarArchiveEntry link = new TarArchiveEntry("bin", TarConstants.LF_SYMLINK);
      link.setLinkName(Path.of(System.getProperty("postgres.home"), "bin").toString());
      link.setModTime(0);
      tar.putArchiveEntry(link);
      tar.closeArchiveEntry();
    }
    return new ByteArrayInputStream(archive.toByteArray());
  }

  private static InputStream olderBinaries(String system, String machine) throws IOException {
    Path jar = Path.of("target", "older-postgres.jar");
    try (ZipFile zip = new ZipFile(jar.toFile())) {
      ZipEntry archive =
          zip.stream().filter(entry -> entry.getName().endsWith(".txz")).findFirst().orElseThrow();
      return new ByteArrayInputStream(zip.getInputStream(archive).readAllBytes());
    }
  }

  /** A new, empty database, whose name starts with {@code prefix} and is unique on this server. */
  public Database createDatabase(String prefix) {
    return createDatabaseNamed(prefix + "_" + databases.incrementAndGet());
  }

  /** A new, empty database of this name. */
  public Database createDatabaseNamed(String name) {
    return create(name, "template1");
  }

  /** A new database in which Caravan is installed, by the files in {@code sql/central}. */
  public synchronized Database createCentral() {
    if (installed == null) {
      Database template = createDatabase("installed");
      template.install(Path.of("sql/central"));
      installed = template;
    }
    return create("central_" + databases.incrementAndGet(), installed.name());
  }

  // A copy of files is quicker than one by the log: here a checkpoint has no disk to wait for.
  private Database create(String name, String template) {
    new Database(server.getPort(), "postgres")
        .execute("create database %s template %s strategy file_copy".formatted(name, template));
    return new Database(server.getPort(), name);
  }

  /** Drops the databases that tests have made, and cuts whoever is connected to them. */
  private void dropDatabases() {
    Database server = new Database(this.server.getPort(), "postgres");
    String keep = installed == null ? "" : installed.name();
    for (List<String> database :
        server.query(
            "select quote_ident(datname) from pg_database where not datistemplate and datname not in ('postgres', '%s')"
                .formatted(keep))) {
      server.execute("drop database " + database.get(0) + " with (force)");
    }
  }

  /** Stops the server as {@code pg_ctl stop -m fast} does: connections are cut, data is kept. */
  public void stop() {
    try {
      server.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Ends the server as {@code pg_ctl stop -m immediate} does: it has no time to write what it holds
   * in memory, and must recover from its log when it is started again.
   */
  public void crash() {
    try {
      new ProcessBuilder("kill", "-QUIT", "" + pid()).start().onExit().join();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    await().atMost(Duration.ofMinutes(1)).until(() -> Files.notExists(lock()));
    stop();
  }

  /** The process id of the server; its sessions are children of this process. */
  public long pid() {
    try {
      return Long.parseLong(Files.readAllLines(lock()).get(0));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Path lock() {
    return data.resolve("postmaster.pid");
  }

  /** Starts the server again after {@link #stop()} or {@link #crash()}, on the same port. */
  public void start() {
    try {
      server = launch(server.getPort());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Copies the data of a stopped server, as a file-level backup does. */
  public Path backUp() {
    try {
      Path backup = temporaryDirectory("backup");
      FileUtils.copyDirectory(data.toFile(), backup.toFile());
      return backup;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Starts a hot standby from a copy of a stopped server. It follows this one by streaming
   * replication as soon as this one is started.
   */
  public Postgres standby() {
    try {
      Path copy = temporaryDirectory("standby");
      FileUtils.copyDirectory(data.toFile(), copy.toFile());
      Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rwx------"));
      Files.createFile(copy.resolve("standby.signal"));
      Files.writeString(
          copy.resolve("postgresql.auto.conf"),
          "primary_conninfo = 'host=localhost port=%d user=postgres'".formatted(server.getPort()));
      return new Postgres(settings, copy, binaries);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Starts a server with the data of this stopped one, as {@code pg_upgrade} takes them over. */
  Postgres upgraded(PgTools tools) {
    Path fresh = temporaryDirectory("upgraded");
    Path work = temporaryDirectory("upgrade");
    tools.run(
        work,
        "initdb",
        "-D",
        fresh.toString(),
        "-U",
        "postgres",
        "-A",
        "trust",
        "--locale=C",
        "-E",
        "UTF8");
    tools.run(
        work,
        "pg_upgrade",
        "-b",
        tools.bin().toString(),
        "-d",
        data.toString(),
        "-D",
        fresh.toString(),
        "-U",
        "postgres",
        "--socketdir",
        "/tmp");
    return new Postgres(settings, fresh, binaries);
  }

  /** Gives a stopped server the data of a backup. */
  public void restore(Path backup) {
    try {
      FileUtils.deleteDirectory(data.toFile());
      FileUtils.moveDirectory(backup.toFile(), data.toFile());
      Files.setPosixFilePermissions(data, PosixFilePermissions.fromString("rwx------"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Stops the server and deletes its data. */
  @Override
  public void close() {
    stop();
    FileUtils.deleteQuietly(data.toFile());
  }

  private static Path temporaryDirectory(String prefix) {
    try {
      return Files.createTempDirectory(Files.createDirectories(HOME), prefix);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private EmbeddedPostgres launch(int port) throws IOException {
    EmbeddedPostgres.Builder builder =
        EmbeddedPostgres.builder()
            .setPgBinaryResolver(binaries)
            .setOverrideWorkingDirectory(HOME.toFile())
            .setDataDirectory(data)
            .setCleanDataDirectory(false)
            .setRegisterShutdownHook(false)
            .setOutputRedirector(Redirect.appendTo(HOME.resolve("server.log").toFile()))
            .setPGStartupWait(Duration.ofMinutes(1))
            .setPort(port)
            .setLocaleConfig("locale", "C")
            .setServerConfig("fsync", "off")
            .setServerConfig("unix_socket_directories", "/tmp")
            .setServerConfig("max_connections", "200")
            .setServerConfig("timezone", "UTC");
    settings.forEach(builder::setServerConfig);
    return builder.start();
  }

  /**
   * A database on a test server; its superuser {@code postgres} needs no password.
   *
   * @param port of the server, on localhost
   * @param name of the database
   */
  public record Database(int port, String name) {

    /** Where the PostgreSQL JDBC driver finds it, user included. */
    public String url() {
      return "jdbc:postgresql://localhost:" + port + "/" + name + "?user=postgres";
    }

    /** Connections without a pool. */
    public DataSource dataSource() {
      PGSimpleDataSource dataSource = new PGSimpleDataSource();
      dataSource.setUrl(url());
      return dataSource;
    }

    /** The database of the same name on another server. */
    public Database on(Postgres other) {
      return new Database(other.server.getPort(), name);
    }

    /** Runs one or more SQL statements, in one transaction. */
    public void execute(String sql) {
      try (Connection connection = dataSource().getConnection();
          Statement statement = connection.createStatement()) {
        statement.setEscapeProcessing(false);
        statement.execute(sql);
      } catch (SQLException e) {
        throw new IllegalStateException(name + ": " + e.getMessage(), e);
      }
    }

    /** The rows of a query, each value in its text form, null as {@code null}. */
    public List<List<String>> query(String sql) {
      try (Connection connection = dataSource().getConnection();
          Statement statement = connection.createStatement();
          ResultSet result = statement.executeQuery(sql)) {
        List<List<String>> rows = new ArrayList<>();
        while (result.next()) {
          List<String> row = new ArrayList<>();
          for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) {
            row.add(result.getString(column));
          }
          rows.add(row);
        }
        return rows;
      } catch (SQLException e) {
        throw new IllegalStateException(name + ": " + e.getMessage(), e);
      }
    }

    /** The one value of a query that has one, in its text form. */
    public String value(String sql) {
      return query(sql).get(0).get(0);
    }

    /** Runs install.sql of a folder, as psql does. */
    public void install(Path folder) {
      installAs("", folder);
    }

    /**
     * The same.
     *
     * @param role that installs it; empty: the superuser
     */
    public void installAs(String role, Path folder) {
      try (Connection connection = dataSource().getConnection();
          Statement statement = connection.createStatement()) {
        connection.setAutoCommit(false);
        if (!role.isEmpty()) {
          statement.execute("set role " + role);
        }
        new InstallScript(folder).run(connection);
        connection.commit();
      } catch (SQLException e) {
        throw new IllegalStateException(name + ": " + e.getMessage(), e);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }

    /** Makes a hub's tables at a client. */
    public void makeTables() {
      try (Connection connection = dataSource().getConnection()) {
        new ClientTables().ensure(connection, name);
      } catch (SQLException | Fault e) {
        throw new IllegalStateException(e);
      }
    }

    /** Makes a hub's tables at a client, as an owner does, and lets the hub's role use them. */
    public void makeTablesFor(String role) {
      makeTables();
      execute(
          "grant usage on schema caravan to %1$s; grant select, insert, update, delete on caravan.cursor, caravan.replicated to %1$s"
              .formatted(role));
    }
  }

  private static final class Shared {
    static final Postgres SERVER = new Postgres(Map.of());

    static {
      isShared = true;
      Runtime.getRuntime().addShutdownHook(new Thread(SERVER::close, "postgres-closer"));
    }
  }
}
