package io.caravan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.stream.Stream;

/**
 * The SQL that {@code install.sql} of a folder includes. People run it with psql; here it runs
 * without.
 */
public final class InstallScript {
  private static final String INCLUDE = "\\ir ";

  private final List<Path> files;

  /**
   * The script of a folder.
   *
   * @throws IOException if it can't be read
   */
  public InstallScript(Path folder) throws IOException {
    try (Stream<String> lines = Files.lines(folder.resolve("install.sql"))) {
      files =
          lines
              .filter(line -> line.startsWith(INCLUDE))
              .map(line -> folder.resolve(line.substring(INCLUDE.length())))
              .toList();
    }
  }

  /**
   * Runs all of it in the connection's transaction, which it leaves open.
   *
   * @param connection not in auto-commit mode
   * @throws SQLException that names the file
   */
  public void run(Connection connection) throws SQLException, IOException {
    try (Statement statement = connection.createStatement()) {
      statement.setEscapeProcessing(false);
      for (Path file : files) {
        try {
          statement.execute(Files.readString(file));
        } catch (SQLException e) {
          throw new SQLException(file + ": " + e.getMessage(), e.getSQLState(), e);
        }
      }
    }
  }
}
