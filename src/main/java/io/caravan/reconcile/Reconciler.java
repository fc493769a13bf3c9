package io.caravan.reconcile;

import com.fasterxml.jackson.databind.JsonNode;
import io.caravan.Fault;
import io.caravan.Shutdown;
import io.caravan.client.KeptByClient;
import io.caravan.client.Mapping;
import io.caravan.jdbc.Cause;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.text.ParseException;
import java.time.Duration;
import java.time.Instant;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import javax.sql.DataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.CamelContextAware;
import org.apache.camel.ExchangeException;
import org.apache.camel.Header;
import org.quartz.CronExpression;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Which clients can be reconciled and when each is to be, as their pumps tell; and the runs that
 * this hub works for. For a client there is one at a time here; between hubs, central sees to that.
 */
public final class Reconciler implements CamelContextAware, KeptByClient, AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(Reconciler.class);
  private static final String CANCELED = "57014";
  private static final String PATIENCE = "2 minutes";
  private static final int IDLE_SECONDS = 5;
  private static final int PAUSE_MILLIS = 20;
  private static final int LONGEST_PAUSE_MILLIS = 1000;

  private final Map<String, Client> clients = new ConcurrentHashMap<>();
  private final Set<String> worked = ConcurrentHashMap.newKeySet();
  private final ExecutorService threads =
      new ThreadPoolExecutor(
          0,
          Integer.MAX_VALUE,
          IDLE_SECONDS,
          TimeUnit.SECONDS,
          new SynchronousQueue<>(),
          Reconciler::thread);
  private final String hub = UUID.randomUUID().toString();
  private double percent = 1;
  private double safetyThreshold = 10;
  private DataSource central;
  private CamelContext context;
  private boolean showsMessages;

  /** Where central is asked. */
  public void setCentral(DataSource central) {
    this.central = central;
  }

  /** If more than this share of the rows differs, in percent, a person is asked. */
  public void setSafetyThreshold(double safetyThreshold) {
    this.safetyThreshold = safetyThreshold;
  }

  /** Whether a failure is told in the database's own words, which may quote row data. */
  public void setErrorMessages(boolean showsMessages) {
    this.showsMessages = showsMessages;
  }

  /** How much of a core may go into comparing all clients to verify, in percent. */
  public void setPercent(double percent) {
    this.percent = percent;
  }

  @Override
  public CamelContext getCamelContext() {
    return context;
  }

  @Override
  public void setCamelContext(CamelContext context) {
    this.context = context;
  }

  /**
   * A client has this mapping, and is to be reconciled at these times.
   *
   * @param schedule a Quartz cron expression
   * @throws ParseException if the schedule is none
   */
  public void know(
      @Header("client") String client,
      @Header("mapping") String mapping,
      @Header("schedule") String schedule)
      throws ParseException {
    clients.computeIfAbsent(client, name -> new Client()).is(mapping, schedule);
  }

  /** Whether somebody rings for clients to be compared. */
  public boolean isAsked(JsonNode doorbell) {
    return doorbell.path("op").asText().equals("reconcile");
  }

  /** Claims the idle clients for the caller, until {@link #release}. */
  public List<String> claim() {
    return isStopping()
        ? List.of()
        : clients.keySet().stream().filter(worked::add).sorted().toList();
  }

  /** Works for a client, run after run, for as long as central has something to do. */
  public void work(@Header("client") String client) throws SQLException, Fault {
    Client known = clients.get(client);
    for (boolean goesOn = known != null; goesOn && !isStopping(); ) {
      String mapping = known.mapping();
      Runs.Claim claim = runs().claim(client, mapping, known.scheduledAt(), percentOfEach());
      claim.equalAt().ifPresent(known::shown);
      goesOn = claim.work().isPresent();
      if (goesOn) {
        known.worksFor(claim.work().get().run());
        work(claim.work().get(), mapping);
      }
    }
  }

  private void work(Runs.Work work, String mapping) throws SQLException, Fault {
    String name = work.run().client();
    Mapping parsed = Mapping.parse(mapping);
    Pace pace = new Pace(work.run().hasTime(), Reconciler::rest, work.ledger()::hasRested);
    BothSides sides =
        new BothSides(
            new CentralSide(central, parsed, pace),
            new ClientSide(
                context.getRegistry().lookupByNameAndType(name, DataSource.class),
                name,
                parsed,
                pace),
            work.run().hasTime() ? Runnable::run : threads);
    Consumer<String> progress =
        line -> {
          if (!line.isEmpty()) {
            LoggerFactory.getLogger("caravan." + name).info("reconcile: {}", line);
          }
        };
    Reconciliation.Settings settings =
        new Reconciliation.Settings(
            Limits.USUAL, BigDecimal.valueOf(safetyThreshold), Reconciler::pause, progress);
    try {
      new Reconciliation(work, parsed, sides, pace, settings).work();
    } catch (Ended e) {
      LOG.debug("Run {} ended: {}", work.run().id(), e.getMessage());
    }
    progress.accept(work.ledger().progress());
  }

  private Runs runs() {
    return new Runs(central, hub, PATIENCE, this::isStopping);
  }

  /** How much of a core may go into comparing each client to verify, in percent. */
  BigDecimal percentOfEach() {
    return BigDecimal.valueOf(percent / clients.size());
  }

  private static void pause(int checks) throws SQLException {
    rest(Duration.ofMillis(Math.min(PAUSE_MILLIS * checks, LONGEST_PAUSE_MILLIS)));
  }

  static void rest(Duration time) throws SQLException {
    try {
      Thread.sleep(time.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SQLException("interrupted", e);
    }
  }

  private static Thread thread(Runnable work) {
    Thread thread = new Thread(work, "caravan-reconcile");
    thread.setDaemon(true);
    return thread;
  }

  @Override
  public void close() {
    threads.shutdownNow();
  }

  /** Nobody works for a client any more. */
  public void release(@Header("client") String client) {
    Client known = clients.get(client);
    if (known != null) {
      known.release();
    }
    worked.remove(client);
  }

  /** A run that is under way for it fails, and is no news. */
  @Override
  public void forget(String client) {
    clients.remove(client);
  }

  /**
   * How long ago a client was shown to be equal to central, in seconds; NaN: never, for all it is
   * known here.
   */
  public double age(String client) {
    Client known = clients.get(client);
    return known == null ? Double.NaN : known.age();
  }

  /**
   * A run failed; it resumes at the next check. A new cause is logged. Central counts the failure,
   * and ends the run after too many, unless a database just could not be reached.
   */
  public void failed(@Header("client") String client, @ExchangeException Exception error) {
    Cause cause = Cause.of(error, showsMessages);
    Client known = clients.get(client);
    if (known == null) {
      return;
    }
    if (!isStopping() && isCounted(cause) && known.run().isPresent()) {
      try {
        runs().failed(known.run().get().id(), cause.message());
      } catch (SQLException e) {
        LOG.debug("Central does not hear of a failure", e);
      }
    }
    if (!isStopping() && known.isNews(cause.message())) {
      LoggerFactory.getLogger("caravan." + client).warn("not reconciled: {}", cause.message());
    }
  }

  /** Whether the hub stops. Then nothing is begun, and failing is no news. */
  private boolean isStopping() {
    return Shutdown.hasBegun(context);
  }

  /**
   * A statement that takes too long, or that somebody cancels, was asked of a database that is
   * there.
   */
  private static boolean isCounted(Cause cause) {
    return !cause.isOfTheConnection() || cause.sqlState().equals(CANCELED);
  }

  /** One client. */
  private static final class Client {
    private String mapping = "";
    private String schedule = "";
    private CronExpression times;
    private Instant lookedAt = Instant.now();
    private Timestamp scheduledAt;
    private Timestamp equalAt;
    private String told = "";
    private Optional<Run> run = Optional.empty();

    synchronized void is(String mapping, String schedule) throws ParseException {
      if (!schedule.equals(this.schedule)) {
        times = new CronExpression(schedule);
        this.schedule = schedule;
      }
      this.mapping = mapping;
    }

    synchronized void release() {
      run = Optional.empty();
    }

    synchronized void worksFor(Run run) {
      this.run = Optional.of(run);
    }

    /** What is being worked for. */
    synchronized Optional<Run> run() {
      return run;
    }

    synchronized String mapping() {
      return mapping;
    }

    /** The last of its times that has come since this hub knows it; null: none has. */
    synchronized Timestamp scheduledAt() {
      Instant now = Instant.now();
      for (Date next = times.getNextValidTimeAfter(Date.from(lookedAt));
          next != null && !next.toInstant().isAfter(now);
          next = times.getNextValidTimeAfter(next)) {
        lookedAt = next.toInstant();
        scheduledAt = Timestamp.from(lookedAt);
      }
      return scheduledAt;
    }

    synchronized void shown(Timestamp equalAt) {
      this.equalAt = equalAt;
      told = "";
    }

    synchronized boolean isNews(String cause) {
      boolean news = !cause.equals(told);
      told = cause;
      return news;
    }

    synchronized double age() {
      return equalAt == null
          ? Double.NaN
          : Duration.between(equalAt.toInstant(), Instant.now()).toMillis() / 1000.0;
    }
  }
}
