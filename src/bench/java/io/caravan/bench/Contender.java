package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.List;

/**
 * One way to bring the changes of central's table {@code users} to the clients, whose table {@code
 * users} has the same columns but for {@code remark}, which nobody propagates.
 */
interface Contender extends AutoCloseable {

  /** What it is called in the tables. */
  String name();

  /** A central of its own. */
  Database central();

  /** The clients, each a database of its own; none where nothing is propagated. */
  List<Database> clients();

  /** Delivers changes from now on. */
  void resume();

  /** Rests while others are measured, and costs nothing meanwhile. Central must not change then. */
  void pause();

  /** Ends it for good. The databases go with the servers. */
  @Override
  void close();

  /** One that brings what was changed in its absence. */
  interface Returning extends Contender {

    /** Stops delivering. */
    void leave();

    /** Starts delivering again, beginning with what was changed meanwhile. */
    void comeBack();
  }
}
