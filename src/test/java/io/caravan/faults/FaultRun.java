package io.caravan.faults;

import static java.time.temporal.ChronoUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import java.time.Duration;
import java.time.LocalTime;
import java.time.ZoneId;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.awaitility.core.ConditionTimeoutException;

/** Injects faults under load, and sees what comes of each. */
final class FaultRun implements AutoCloseable {
  private static final Duration BOUND = Duration.ofMinutes(2);
  private static final int FAULTS_DURING_A_TRANSACTION = 3;

  private final World world = new World();
  private final Load load;
  private final Map<Client, Pulse> pulses = new EnumMap<>(Client.class);
  private final Random random;
  private final Duration shortest;
  private final Duration longest;
  private final List<Outcome> outcomes = new ArrayList<>();

  /**
   * Makes everything ready: every client is loaded and follows.
   *
   * @param seed of what is written, whom the faults befall, and for how long
   * @param shortest how long a fault is held at least
   * @param longest how long it is held at most
   */
  FaultRun(long seed, Duration shortest, Duration longest) {
    this.random = new Random(seed);
    this.shortest = shortest;
    this.longest = longest;
    assertThat(awaitEqual()).as("after the clients were loaded").isEmpty();
    load = new Load(world.central(), seed);
    for (Client client : Client.values()) {
      pulses.put(client, new Pulse(world.database(client)));
    }
  }

  /** What came of the faults so far. */
  List<Outcome> outcomes() {
    return outcomes;
  }

  /** Injects a fault, holds it, ends it, and waits until every client equals central. */
  Outcome inject(Fault fault) throws Exception {
    Client victim = any(Client.values());
    long changesBefore = load.changes();
    long wrongBefore = world.wentBack();
    pulses.values().forEach(Pulse::reset);

    Fault.End end = fault.inject(world, victim);
    hold(fault);
    end.end();

    long ended = System.nanoTime();
    load.pause();
    long changes = load.changes() - changesBefore;
    List<String> differences = awaitEqual();
    long recovery = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - ended);
    long stall = fault.isAtClient() ? stallOfOthers(victim) : 0;
    load.resume();

    long letters = differences.isEmpty() ? 0 : world.letters().size();
    Outcome outcome =
        new Outcome(
            fault,
            changes,
            differences.size() - letters,
            world.wentBack() - wrongBefore,
            letters,
            recovery,
            stall);
    outcomes.add(outcome);
    System.out.println(
        LocalTime.now(ZoneId.systemDefault()).truncatedTo(SECONDS) + " " + victim + " " + outcome);
    assertThat(differences).as("after %s at %s", fault, victim).isEmpty();
    assertThat(world.hub().isAlive()).as("the hub is alive after %s", fault).isTrue();
    return outcome;
  }

  private void hold(Fault fault) throws Exception {
    if (fault == Fault.OPEN_TRANSACTION) {
      for (int n = 0; n < FAULTS_DURING_A_TRANSACTION; n++) {
        Fault other = any(Fault.values());
        if (other != fault) {
          inject(other);
        }
      }
    } else {
      Thread.sleep(random.nextLong(shortest.toMillis(), longest.toMillis() + 1));
    }
  }

  private <T> T any(T[] values) {
    return values[random.nextInt(values.length)];
  }

  private long stallOfOthers(Client victim) {
    return pulses.entrySet().stream()
        .filter(pulse -> pulse.getKey() != victim)
        .mapToLong(pulse -> pulse.getValue().oldest())
        .max()
        .orElseThrow();
  }

  /** The differences that are left when the time is up: none, if all is well. */
  private List<String> awaitEqual() {
    List<String> differences = new ArrayList<>();
    try {
      await()
          .atMost(BOUND)
          .pollInterval(Duration.ofMillis(50))
          .until(
              () -> {
                differences.clear();
                differences.addAll(world.differences());
                return differences.isEmpty();
              });
    } catch (ConditionTimeoutException e) {
      // the differences say it
    }
    return differences;
  }

  @Override
  public void close() {
    pulses.values().forEach(Pulse::close);
    load.close();
    world.close();
  }
}
