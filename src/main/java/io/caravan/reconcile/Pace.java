package io.caravan.reconcile;

import io.caravan.Fault;
import java.sql.SQLException;
import java.time.Duration;
import java.util.function.Consumer;

/**
 * How a run that has time spares the live changes: it asks for little at a time, one side after the
 * other, and rests after each answer. So it takes a quarter of a core, for a few milliseconds at
 * once. A run that somebody waits for does not rest.
 */
final class Pace {
  /** 512 MB, where a block has 8 KB. */
  static final Blocks MANY = new Blocks(65_536, 65_536);

  /** How long a side is asked until another hub could go on from there. */
  static final Duration PART = Duration.ofSeconds(3);

  private static final Blocks FEW = new Blocks(2_048, 64);
  private static final Duration LONGEST_TRANSACTION = Duration.ofMillis(500);
  private static final int RESTS = 3;
  private static final Duration LONGEST_REST = Duration.ofSeconds(1);

  private final boolean hasTime;
  private final Blocks blocks;
  private final Duration part;
  private final Rest rest;
  private final Consumer<Duration> rested;
  private boolean isAwaited;

  /**
   * The pace of a run.
   *
   * @param rested is told of each rest
   */
  Pace(boolean hasTime, Rest rest, Consumer<Duration> rested) {
    this(hasTime, hasTime ? FEW : MANY, PART, rest, rested);
  }

  /**
   * The same.
   *
   * @param part how long a side is asked until another hub could go on from there
   */
  Pace(boolean hasTime, Blocks blocks, Duration part, Rest rest, Consumer<Duration> rested) {
    this.hasTime = hasTime;
    this.blocks = blocks;
    this.part = part;
    this.rest = rest;
    this.rested = rested;
  }

  /** How much of a table it asks for. */
  Blocks blocks() {
    return blocks;
  }

  /** Asks a side, and rests. */
  void ask(Asking side) throws SQLException, Fault {
    long before = System.nanoTime();
    side.ask();
    if (hasTime && !isAwaited) {
      long nanos = Math.min((System.nanoTime() - before) * RESTS, LONGEST_REST.toNanos());
      Duration pause = Duration.ofNanos(nanos);
      rest.during(pause);
      rested.accept(pause);
    }
  }

  /** From now on somebody waits. */
  void hurry() {
    isAwaited = true;
  }

  /**
   * Whether a transaction has lasted so long that it should end, rests included: it holds a lock on
   * the client's table, behind which {@code ALTER TABLE} waits.
   *
   * @param since as {@link System#nanoTime} tells it
   */
  static boolean isLong(long since) {
    return System.nanoTime() - since >= LONGEST_TRANSACTION.toNanos();
  }

  /**
   * Whether another hub should be able to go on from here: without rests, after each answer.
   *
   * <p>Not as often with rests, because what is kept for it is more than a small answer costs.
   *
   * @param since as {@link System#nanoTime} tells it
   */
  boolean isPartOver(long since) {
    return !hasTime || System.nanoTime() - since >= part.toNanos();
  }

  /**
   * How much of a table is read.
   *
   * @param ofPart how many blocks a side is asked for, after it has read its catalog again
   * @param atOnce how many of them one statement reads
   */
  record Blocks(long ofPart, long atOnce) {}

  /** What a side is asked. */
  interface Asking {
    void ask() throws SQLException, Fault;
  }

  /** Lets time pass. */
  interface Rest {
    void during(Duration time) throws SQLException;
  }
}
