package io.caravan.install;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The SQL that an {@code install.sql} includes. People run it with psql; here it runs without. */
public final class InstallScript {
  private static final String INSTALL = "install.sql";
  private static final String INCLUDE = "\\ir ";
  private static final String IN_THE_JAR = "/caravan/sql/central/";

  private final Map<String, String> files = new LinkedHashMap<>();

  /**
   * The script of a folder.
   *
   * @throws IOException if it can't be read
   */
  public InstallScript(Path folder) throws IOException {
    this(name -> Files.readString(folder.resolve(name)));
  }

  private InstallScript(Source source) throws IOException {
    List<String> lines = source.read(INSTALL).lines().toList();
    for (String line : lines) {
      if (line.startsWith(INCLUDE)) {
        String name = line.substring(INCLUDE.length());
        files.put(name, source.read(name));
      }
    }
  }

  /**
   * Central's script: that of a folder, where it has one; otherwise the one that is in the jar.
   *
   * @throws IOException if it can't be read
   */
  static InstallScript ofCentral(Path folder) throws IOException {
    return Files.exists(folder.resolve(INSTALL))
        ? new InstallScript(folder)
        : new InstallScript(InstallScript::readFromTheJar);
  }

  private static String readFromTheJar(String name) throws IOException {
    try (InputStream file = InstallScript.class.getResourceAsStream(IN_THE_JAR + name)) {
      if (file == null) {
        throw new FileNotFoundException("the jar has no " + IN_THE_JAR + name);
      }
      return new String(file.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /**
   * Runs all of it in the connection's transaction, which it leaves open.
   *
   * @param connection not in auto-commit mode
   * @throws SQLException that names the file
   */
  public void run(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.setEscapeProcessing(false);
      for (Map.Entry<String, String> file : files.entrySet()) {
        try {
          statement.execute(file.getValue());
        } catch (SQLException e) {
          throw new SQLException(file.getKey() + ": " + e.getMessage(), e.getSQLState(), e);
        }
      }
    }
  }

  private interface Source {
    String read(String name) throws IOException;
  }
}
