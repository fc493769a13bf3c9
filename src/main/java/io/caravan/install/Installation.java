package io.caravan.install;

import io.caravan.Fault;
import io.caravan.jdbc.Cause;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is installed in central: whether this hub can work with it. A hub works with one version,
 * and refuses any other, also when central is brought to that version while the hub runs. Where it
 * may, it brings an older central up to date itself.
 */
public final class Installation {
  /** The version that this hub works with: the one in {@code sql/central/version.sql}. */
  public static final int VERSION = 3;

  private static final Logger LOG = LoggerFactory.getLogger("caravan.central");
  private static final Path FOLDER = Path.of("sql", "central");
  private static final long PAUSE_NANOS = TimeUnit.SECONDS.toNanos(1);

  // Installed before there were versions, and not installed at all.
  private static final int WITHOUT_VERSION = 0;
  private static final int NOTHING = -1;

  private static final String WHAT_IS_THERE =
      "select to_regnamespace('caravan') is not null, to_regprocedure('caravan.version()') is not null";
  // As in version.sql.
  private static final String ALONE = "select pg_advisory_xact_lock(7165065861814019951)";
  private static final String BECOME_OWNER =
      """
      do $$
      declare
        owner constant text := (select nspowner::regrole from pg_namespace where nspname = 'caravan' and pg_has_role(nspowner, 'member'));
      begin
        if owner is not null then
          execute 'set local role ' || owner;
        end if;
      end
      $$
      """;

  private final List<Runnable> whenItNoLongerFits = new CopyOnWriteArrayList<>();
  private DataSource central;
  private DataSource installer;
  private boolean mayMigrate;
  private volatile boolean fits;
  private SQLException failure;
  private long failedAt;

  /** Where central is asked. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /** Where it is installed: a connection that may take its time. */
  public void setInstaller(DataSource installer) {
    this.installer = installer;
  }

  /** Whether the hub brings an older central up to date itself. */
  public void setMigrate(boolean mayMigrate) {
    this.mayMigrate = mayMigrate;
  }

  /** Has something done whenever central turns out to be no longer of this hub's version. */
  public void whenItNoLongerFits(Runnable reaction) {
    whenItNoLongerFits.add(reaction);
  }

  /**
   * Sees to it that central was found to be of this hub's version. It is asked only until it was.
   *
   * @throws SQLException with {@link Fault#VERSION} if it is of another; or if it can't be asked
   */
  public void require() throws SQLException {
    if (!fits) {
      requireOnce();
    }
  }

  /** Callers ask central one at a time. For a second after a failure, all get that failure. */
  private synchronized void requireOnce() throws SQLException {
    if (failure != null && System.nanoTime() - failedAt < PAUSE_NANOS) {
      throw new SQLException(failure.getMessage(), failure.getSQLState(), failure);
    }
    try {
      check();
    } catch (Fault e) {
      throw new SQLException(e.getMessage(), e.sqlState(), e);
    }
  }

  /**
   * Asks central which version it has.
   *
   * @throws Fault if it is not this hub's, and the hub may not change that
   * @throws SQLException if central can't be asked
   */
  public synchronized void check() throws SQLException, Fault {
    try {
      require(version());
      failure = null;
      fits = true;
    } catch (SQLException e) {
      note(e);
      throw e;
    } catch (Fault e) {
      note(new SQLException(e.getMessage(), e.sqlState(), e));
      if (fits) {
        fits = false;
        whenItNoLongerFits.forEach(Runnable::run);
      }
      throw e;
    }
  }

  private void note(SQLException e) {
    failure = e;
    failedAt = System.nanoTime();
  }

  private void require(int found) throws SQLException, Fault {
    if (found > VERSION) {
      throw new Fault(
          Fault.VERSION,
          "central is of a newer release (its SQL has version %d, this hub works with %d): start a hub of that release"
              .formatted(found, VERSION));
    } else if (found < VERSION && !mayMigrate) {
      throw new Fault(
          Fault.VERSION,
          "%s: run psql -f sql/central/install.sql there, or set caravan.migrate=true; the hub goes on by itself"
              .formatted(said(found)));
    } else if (found < VERSION) {
      migrate();
      require(version());
    }
  }

  private static String said(int found) {
    return switch (found) {
      case NOTHING -> "Caravan is not installed in central";
      case WITHOUT_VERSION -> "central is of an older release";
      default ->
          "central is of an older release (its SQL has version %d, this hub works with %d)"
              .formatted(found, VERSION);
    };
  }

  private void migrate() throws SQLException, Fault {
    try (Connection connection = installer.getConnection()) {
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.execute(ALONE);
        int found = version(connection);
        if (found < VERSION) {
          statement.execute(BECOME_OWNER);
          InstallScript.ofCentral(FOLDER).run(connection);
          connection.commit();
          LOG.info("{}: the hub has installed version {}", said(found), VERSION);
        }
      } catch (SQLException e) {
        throw new Fault(
            Fault.VERSION,
            "central can't be brought up to date. %s".formatted(Cause.of(e, true).message()));
      } catch (IOException e) {
        throw new Fault(Fault.VERSION, "sql/central/install.sql can't be read: " + e.getMessage());
      } finally {
        connection.rollback();
        connection.setAutoCommit(true);
      }
    }
  }

  private int version() throws SQLException {
    try (Connection connection = central.getConnection()) {
      return version(connection);
    }
  }

  private static int version(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      try (ResultSet row = statement.executeQuery(WHAT_IS_THERE)) {
        row.next();
        if (!row.getBoolean(2)) {
          return row.getBoolean(1) ? WITHOUT_VERSION : NOTHING;
        }
      }
      try (ResultSet row = statement.executeQuery("select caravan.version()")) {
        row.next();
        return row.getInt(1);
      }
    }
  }
}
