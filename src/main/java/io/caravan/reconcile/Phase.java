package io.caravan.reconcile;

import java.util.EnumSet;
import java.util.Map;
import java.util.Set;

/** Where a run is: what it does next. */
public enum Phase {
  /** The client says what its columns are, and central which of them it can't compute. */
  SURVEY,
  /** Both sides digest all rows. */
  DIGEST,
  /** The same, but the client digests only the rows that it has noted as central's. */
  DIGEST_REPLICATED,
  /** Both sides tell the rows of the buckets that differ further apart. */
  NARROW,
  /** Both sides list the rows of the buckets that differ; those that differ are checked. */
  LIST,
  /** The client names the keys that it has noted without having a row. */
  FIND_ORPHANS,
  /** What was found is counted, and repaired, unless that is too much or not wanted. */
  DECIDE,
  /** What was to be repaired is checked again. */
  PROVE;

  private static final Map<Phase, Set<Phase>> FOLLOWING =
      Map.of(
          SURVEY, EnumSet.of(DIGEST, DECIDE),
          DIGEST, EnumSet.of(DIGEST_REPLICATED, NARROW, LIST),
          DIGEST_REPLICATED, EnumSet.of(NARROW, LIST),
          NARROW, EnumSet.of(DIGEST_REPLICATED, NARROW, LIST),
          LIST, EnumSet.of(DIGEST_REPLICATED, FIND_ORPHANS, DECIDE),
          FIND_ORPHANS, EnumSet.of(DECIDE),
          DECIDE, EnumSet.of(PROVE),
          PROVE, EnumSet.noneOf(Phase.class));

  /** Whether a run can go on from here to there. */
  boolean leadsTo(Phase next) {
    return FOLLOWING.get(this).contains(next);
  }
}
