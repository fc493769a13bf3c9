package io.caravan.reconcile;

import io.caravan.apply.Doubts;

/**
 * A comparison of a client's table with its source, as it was asked for.
 *
 * @param id in {@code caravan.reconciliation}
 * @param target the client's table, as its mapping names it
 * @param reason why it is done, for instance {@code verify}
 * @param key the only key that is compared; empty: all are
 * @param isDry whether nothing is to be repaired
 * @param isConfirmed whether a person lets it repair, however much differs
 */
public record Run(
    long id,
    String client,
    String source,
    String target,
    String reason,
    String key,
    boolean isDry,
    boolean isConfirmed) {

  /** Whether the client may have rows of which central knows nothing. */
  boolean isOfDoubt() {
    return reason.equals(Doubts.EPOCH) || reason.equals(Doubts.TRUNCATE);
  }

  /** Whether it is one of those between the scheduled runs. */
  boolean isToVerify() {
    return reason.equals("verify");
  }

  /** Whether nobody waits for it. */
  boolean hasTime() {
    return isToVerify() || reason.equals("schedule");
  }
}
