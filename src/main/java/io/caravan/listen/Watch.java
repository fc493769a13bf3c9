package io.caravan.listen;

import io.caravan.read.Look;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.TimeUnit;
import java.util.function.IntSupplier;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Whether the hub sleeps or is awake. While it sleeps it is rung for. When it is rung for so often
 * that the ringing holds up those who write, it wakes up: nobody rings any more, and it looks for
 * changes by itself, until there are none for a while. See {@code sql/central/doorbell.sql}.
 */
final class Watch {
  private static final Logger LOG = LoggerFactory.getLogger(Listener.class);
  private static final int RINGS_OF_A_RUSH = 50;
  private static final long RUSH_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long QUIET_NANOS = TimeUnit.MILLISECONDS.toNanos(20);
  private static final long BETWEEN_TRIES_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final int TICK_MILLIS = 2;
  private static final long SHORTEST_REST_NANOS = TimeUnit.MILLISECONDS.toNanos(TICK_MILLIS);
  // Clients that hang hold up the others no longer than this, or than so many clients take.
  private static final long LONGEST_REST_NANOS = TimeUnit.MILLISECONDS.toNanos(40);
  private static final long REST_NANOS_FOR_A_CLIENT = TimeUnit.MICROSECONDS.toNanos(500);
  // The more is written, the longer it rests, measured by what a look takes just now: larger pages
  // cost less for each change, and leave the processors to those who write.
  private static final double TRANSACTIONS_PER_SECOND_FOR_A_LOOK = 500;
  // Another hub that holds the lock may vanish.
  private static final int LOOK_AT_THE_OTHER_MILLIS = 1_000;
  // How long nothing is heard before the server is asked whether it is still there.
  private static final int SILENCE_MILLIS = 5_000;
  private static final Pattern IS_NOT_INSTALLED = Pattern.compile("42...|3F...");
  private static final String GRANTED = "granted";
  private static final String BUSY = "busy";

  private final Statement statement;
  private final IntSupplier clients;
  private final Reading reading;
  private final long[] rings = new long[RINGS_OF_A_RUSH];
  private int nextRing;
  private boolean asleep;
  private boolean holdsLock;
  private long triedAt;
  private long newsAt;
  private String snapshot = "";
  private long transactions;
  private long lookedAt;
  private long lookNanos;
  private long restNanos;
  private boolean hasPage;

  /**
   * Falls asleep, if that is possible.
   *
   * @param statement of a session that has begun to listen
   * @param clients how many are woken when there is something new
   * @param reading reads on for the clients
   */
  Watch(Statement statement, IntSupplier clients, Reading reading) throws SQLException {
    this.statement = statement;
    this.clients = clients;
    this.reading = reading;
    newsAt = System.nanoTime();
    lookedAt = newsAt;
    for (int i = 0; i < RINGS_OF_A_RUSH; i++) {
      rings[i] = newsAt - 2 * RUSH_NANOS;
    }
    fallAsleep(newsAt);
  }

  /** Whether each change is rung for. */
  boolean isAsleep() {
    return asleep;
  }

  /** How long to wait for rings before {@link #seesNews} is to be called again. */
  int patienceMillis() {
    if (!asleep) {
      return TICK_MILLIS;
    }
    return holdsLock ? SILENCE_MILLIS : LOOK_AT_THE_OTHER_MILLIS;
  }

  /**
   * Whether there may be changes for which nobody has rung.
   *
   * @param heard how many rings were heard just now
   */
  boolean seesNews(int heard) throws SQLException {
    hasPage = false;
    long now = System.nanoTime();
    if (asleep && isRush(heard, now)) {
      wakeUp();
      newsAt = now;
      return look(now);
    }
    if (!asleep) {
      return isRested(now) && look(now);
    }
    boolean toTry =
        !holdsLock && now - triedAt > TimeUnit.MILLISECONDS.toNanos(LOOK_AT_THE_OTHER_MILLIS);
    return toTry && fallAsleep(now);
  }

  private boolean isRush(int heard, long now) {
    for (int i = 0; i < Math.min(heard, RINGS_OF_A_RUSH); i++) {
      rings[nextRing] = now;
      nextRing = (nextRing + 1) % RINGS_OF_A_RUSH;
    }
    return heard > 0 && now - rings[nextRing] < RUSH_NANOS;
  }

  private void wakeUp() throws SQLException {
    statement.execute("select caravan_internal.wake_up()");
    asleep = false;
    holdsLock = false;
    snapshot = "";
  }

  /** Whether the news is a page that waits for the clients, and not just that there is some. */
  boolean hasPage() {
    return hasPage;
  }

  private boolean look(long now) throws SQLException {
    Look look = reading.look();
    lookNanos = (3 * lookNanos + System.nanoTime() - now) / 4;
    boolean news = look.found() == Look.Found.PAGE;
    hasPage = news;
    if (look.found() == Look.Found.UNKNOWN) {
      news = ask(now);
    } else {
      pace(look.snapshot(), now);
      snapshot = look.snapshot();
    }
    if (news) {
      newsAt = now;
    } else if (now - newsAt > QUIET_NANOS && now - triedAt > BETWEEN_TRIES_NANOS) {
      news = fallAsleep(now);
    }
    return news;
  }

  /**
   * Where nothing can be read, central is asked whether there is something: it may still answer
   * this connection.
   */
  private boolean ask(long now) throws SQLException {
    String since = snapshot.isEmpty() ? "null" : statement.enquoteLiteral(snapshot);
    try (ResultSet answer =
        statement.executeQuery(
            "select changed, snapshot from caravan_internal.changes_since(" + since + ")")) {
      answer.next();
      pace(answer.getString(2), now);
      snapshot = answer.getString(2);
      return answer.getBoolean(1);
    }
  }

  /**
   * Whether it has rested long enough. To look again before most clients have applied what there
   * was makes them apply the same changes in smaller pages.
   */
  private boolean isRested(long now) {
    long rest = now - lookedAt;
    boolean isLong =
        rest >= LONGEST_REST_NANOS && rest >= clients.getAsInt() * REST_NANOS_FOR_A_CLIENT;
    return isLong || (rest >= restNanos && reading.isApplied());
  }

  /** Decides how long to rest, by how many transactions there were since the last look. */
  private void pace(String now, long at) {
    long known = Long.parseLong(now.split(":", -1)[1]);
    if (!snapshot.isEmpty()) {
      double perSecond = (known - transactions) * 1e9 / Math.max(at - lookedAt, 1);
      double rest = lookNanos * perSecond / TRANSACTIONS_PER_SECOND_FOR_A_LOOK;
      restNanos = Math.max((long) rest, SHORTEST_REST_NANOS);
    }
    transactions = known;
    lookedAt = at;
  }

  /** Whether it has fallen asleep just now: then there may be changes that came before. */
  private boolean fallAsleep(long now) throws SQLException {
    triedAt = now;
    String answer;
    try (ResultSet result = statement.executeQuery("select caravan_internal.fall_asleep()")) {
      result.next();
      answer = result.getString(1);
    } catch (SQLException e) {
      if (!IS_NOT_INSTALLED.matcher(e.getSQLState()).matches()) {
        throw e;
      }
      if (!asleep) {
        LOG.warn("Central's doorbell can't be used yet, and does not ring: {}", e.getMessage());
      }
      asleep = true;
      return false;
    }
    boolean wasHeldByAnother = asleep && !answer.equals(GRANTED);
    holdsLock = answer.equals(GRANTED);
    asleep = !answer.equals(BUSY);
    return asleep && !wasHeldByAnother;
  }

  /** Reads on for the clients that have nothing to do. */
  interface Reading {
    /**
     * The bell has rung.
     *
     * @param toLook whether to read on before the clients are woken, without waiting for that
     */
    void rung(boolean toLook);

    /** What there is. */
    Look look();

    /** Whether most of the clients that took the last page have applied it. */
    boolean isApplied();
  }
}
