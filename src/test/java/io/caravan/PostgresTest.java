package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Postgres.Database;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PostgresTest {

  @Test
  void everyDatabaseIsNewAndEmpty() {
    Database one = Postgres.shared().createDatabase("shop");
    Database other = Postgres.shared().createDatabase("shop");

    one.execute("create table only_here ()");

    assertThat(tables(one)).isEqualTo(1);
    assertThat(tables(other)).isZero();
  }

  @Test
  void aFolderIsInstalledAsItsInstallScriptSays(@TempDir Path folder) throws Exception {
    Files.createDirectory(folder.resolve("shared"));
    Files.createDirectory(folder.resolve("central"));
    Path install = folder.resolve("central").resolve("install.sql");
    Files.writeString(install, "begin;\n\\ir ../shared/a.sql\n\\ir b.sql\ncommit;\n");
    Files.writeString(folder.resolve("shared/a.sql"), "create table a (a int primary key);");
    Files.writeString(folder.resolve("central/b.sql"), "create table b (a int references a);");
    Files.writeString(folder.resolve("central/c.sql"), "drop table a");
    Database database = Postgres.shared().createDatabase("central");

    database.install(folder.resolve("central"));

    assertThat(tables(database)).isEqualTo(2);
  }

  @Test
  void aServerOfOnesOwnKeepsItsDataWhileItIsStopped() {
    try (Postgres server = new Postgres(Map.of("wal_level", "logical"))) {
      Database database = server.createDatabase("central");
      database.execute("create table kept ()");

      server.stop();
      server.start();

      assertThat(tables(database)).isEqualTo(1);
    }
  }

  private static long tables(Database database) {
    try (Connection connection = database.dataSource().getConnection();
        Statement statement = connection.createStatement();
        ResultSet result =
            statement.executeQuery("select count(*) from pg_tables where schemaname = 'public'")) {
      result.next();
      return result.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }
}
