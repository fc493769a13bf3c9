package io.caravan.reconcile;

import io.caravan.Fault;
import io.caravan.client.Mapping;
import io.caravan.client.Source;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Consumer;
import javax.sql.DataSource;

/**
 * What the hub does to compare one client, done by a test in one thread: central is asked first,
 * then the client. So a test says what happens between them.
 */
public final class RunsByHand {
  private final DataSource central;
  private final DataSource database;
  private final String client;
  private final String mapping;
  private String hub = "by hand";
  private int percent;
  private Limits limits = Limits.USUAL;
  private Between ofCentral = RunsByHand::plainly;
  private Between ofClient = RunsByHand::plainly;
  private Before pause = () -> {};
  private Consumer<Duration> rested = time -> {};
  private int answers;
  private Pace.Blocks blocks = Pace.MANY;
  private Duration part = Pace.PART;
  private Pace pace;

  /** For one client. */
  public RunsByHand(DataSource central, DataSource database, String client, String mapping) {
    this.central = central;
    this.database = database;
    this.client = client;
    this.mapping = mapping;
  }

  private Mapping parsed() {
    try {
      return Mapping.parse(mapping);
    } catch (Fault e) {
      throw new IllegalArgumentException(e);
    }
  }

  /** From now on, this is another hub. */
  public void name(String name) {
    hub = name;
  }

  /** From now on, so much of the time goes into verifying. */
  public void verify(int share) {
    percent = share;
  }

  /** From now on, so many rows are few and are listed at once, and so many keys checked at once. */
  public void limit(int listed, int checked) {
    limits = new Limits(listed, listed, checked, limits.checks());
  }

  /** From now on, so many blocks of a table are a part, and so many of them are read at once. */
  public void read(long ofPart, long atOnce) {
    blocks = new Pace.Blocks(ofPart, atOnce);
  }

  /** Done before keys are checked. */
  public void pause(Before before) {
    pause = before;
  }

  /** Done whenever a run has rested. */
  public void rested(Consumer<Duration> taker) {
    rested = taker;
  }

  /** From now on, another hub can go on after each answer. */
  public void keepOften() {
    part = Duration.ZERO;
  }

  /** Done whenever central is asked. */
  public void ofCentral(Between between) {
    ofCentral = between;
  }

  /** Done whenever the client is asked. */
  public void ofClient(Between between) {
    ofClient = between;
  }

  /** How often the client has answered so far. */
  public int answers() {
    return answers;
  }

  /** Works for the run that is due, if one is, until it has ended. */
  public void work() throws SQLException, Fault {
    Runs.Claim claim =
        new Runs(central, hub, "2 minutes", () -> false)
            .claim(client, mapping, null, BigDecimal.valueOf(percent));
    if (claim.work().isEmpty()) {
      return;
    }
    Reconciliation.Settings settings =
        new Reconciliation.Settings(limits, BigDecimal.TEN, checks -> pause.run(), line -> {});
    Runs.Work work = claim.work().get();
    pace = new Pace(work.run().hasTime(), blocks, part, this::rest, work.ledger()::hasRested);
    BothSides sides = new BothSides(new Central(), new Client(), Runnable::run);
    try {
      new Reconciliation(work, Mapping.parse(mapping), sides, pace, settings).work();
    } catch (Ended e) {
      // Central has noted why.
    }
  }

  private void rest(Duration time) throws SQLException {
    Reconciler.rest(time);
    rested.accept(time);
  }

  private static Object plainly(String what, Callable<Object> ask) throws Exception {
    return ask.call();
  }

  @SuppressWarnings("unchecked") // it is what was asked for
  private static <T> T ask(Between between, String what, Callable<T> ask)
      throws SQLException, Fault {
    try {
      return (T) between.ask(what, ask::call);
    } catch (SQLException | Fault | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private <T> T askClient(String what, Callable<T> ask) throws SQLException, Fault {
    return ask(
        ofClient,
        what,
        () -> {
          answers++;
          return ask.call();
        });
  }

  private static Rows listed(Side side, Comparison comparison, Scope scope, long from)
      throws SQLException, Fault {
    List<Listed> rows = new ArrayList<>();
    return new Rows(side.list(comparison, scope, from, rows::add), rows);
  }

  /** What a test does when a side is asked. */
  public interface Between {
    /**
     * Asks, and does something before or after.
     *
     * @param what digest, list, check, …
     */
    Object ask(String what, Callable<Object> ask) throws Exception;
  }

  /** What a test does before something. */
  public interface Before {
    /** Does it. */
    void run() throws SQLException;
  }

  private record Rows(Block block, List<Listed> rows) {
    Block giveTo(Consumer<Listed> each) {
      rows.forEach(each);
      return block;
    }
  }

  private final class Central implements Side.OfCentral {
    private final Side.OfCentral side = new CentralSide(central, parsed(), pace);

    @Override
    public List<Uncomputed> prepare(Comparison comparison) throws SQLException, Fault {
      return ask(ofCentral, "prepare", () -> side.prepare(comparison));
    }

    @Override
    public DigestPart digest(Comparison comparison, Scope scope, long from)
        throws SQLException, Fault {
      return ask(ofCentral, "digest", () -> side.digest(comparison, scope, from));
    }

    @Override
    public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
        throws SQLException, Fault {
      return ask(ofCentral, "list", () -> listed(side, comparison, scope, from)).giveTo(each);
    }

    @Override
    public CentralRows check(Comparison comparison, Scope scope, List<String> keys)
        throws SQLException, Fault {
      return ask(ofCentral, "check", () -> side.check(comparison, scope, keys));
    }
  }

  private final class Client implements Side.OfClient {
    private final Side.OfClient side = new ClientSide(database, client, parsed(), pace);

    @Override
    public Survey survey(int number, Source source) throws SQLException, Fault {
      return askClient("survey", () -> side.survey(number, source));
    }

    @Override
    public DigestPart digest(Comparison comparison, Scope scope, long from)
        throws SQLException, Fault {
      return askClient("digest", () -> side.digest(comparison, scope, from));
    }

    @Override
    public Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
        throws SQLException, Fault {
      return askClient("list", () -> listed(side, comparison, scope, from)).giveTo(each);
    }

    @Override
    public ClientRows check(Comparison comparison, Scope scope, List<String> keys)
        throws SQLException, Fault {
      return askClient("check", () -> side.check(comparison, scope, keys));
    }

    @Override
    public Notes orphans(Comparison comparison, String after) throws SQLException, Fault {
      return askClient("orphans", () -> side.orphans(comparison, after));
    }

    @Override
    public Notes notes(int number, String after) throws SQLException {
      try {
        return askClient("notes", () -> side.notes(number, after));
      } catch (Fault e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
