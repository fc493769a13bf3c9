package io.caravan;

import java.util.concurrent.ScheduledThreadPoolExecutor;

/**
 * The few threads that look after the idle connections of all data sources, which otherwise have a
 * thread each. What a client does with its own connections is done elsewhere: here nobody waits.
 *
 * <p>Its threads end when there is nothing to look after, so that it need not be closed: when the
 * file that names it is loaded anew, data sources go on with the one that they have.
 */
public final class Housekeeping extends ScheduledThreadPoolExecutor {
  private static final int THREADS = 2;

  /** Without a thread until the first data source has something to do. */
  public Housekeeping() {
    super(
        THREADS,
        task -> {
          Thread thread = new Thread(task, "caravan-housekeeping");
          thread.setDaemon(true);
          return thread;
        });
    setRemoveOnCancelPolicy(true);
    allowCoreThreadTimeOut(true);
  }
}
