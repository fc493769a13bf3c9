package io.caravan.reconcile;

import io.caravan.Fault;
import java.sql.SQLException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.FutureTask;

/**
 * Asks both sides.
 *
 * @param threads on which central is asked: the client is asked at the same time where they are
 *     others
 */
record BothSides(Side.OfCentral central, Side.OfClient client, Executor threads) {

  <A, B> Both<A, B> ask(Asking<Side.OfCentral, A> here, Asking<Side.OfClient, B> there)
      throws SQLException, Fault {
    FutureTask<A> asked = new FutureTask<>(() -> here.ask(central));
    threads.execute(asked);
    B theirs;
    try {
      theirs = there.ask(client);
    } finally {
      awaitEnd(asked);
    }
    return new Both<>(result(asked), theirs);
  }

  /** So that nothing runs on when this has failed. */
  private static void awaitEnd(FutureTask<?> task) {
    try {
      task.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException e) {
      // It is thrown again when the result is fetched.
    }
  }

  private static <T> T result(FutureTask<T> task) throws SQLException, Fault {
    try {
      return task.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new SQLException("interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof SQLException error) {
        throw error;
      } else if (e.getCause() instanceof Fault fault) {
        throw fault;
      }
      throw new IllegalStateException(e.getCause());
    }
  }

  /** What a side is asked. */
  interface Asking<S, T> {
    T ask(S side) throws SQLException, Fault;
  }

  /** What both have answered. */
  record Both<A, B>(A central, B client) {}
}
