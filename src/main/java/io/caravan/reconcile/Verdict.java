package io.caravan.reconcile;

import java.util.Locale;
import java.util.OptionalLong;

/** What a key is found to be, when both sides were checked. */
public enum Verdict {
  /** The log has a change of it that one of the two sides has not seen. */
  CHANGING,
  /** The client refuses it: a dead letter. */
  SKIPPED,
  /** Both sides have the same row, or none. */
  EQUAL,
  /** No side has a row, but the client has noted the key as central's. */
  ORPHANED,
  /** Only central has a row. */
  MISSING,
  /** The rows differ, or the client has not noted the key as central's. */
  STALE,
  /** Only the client has a row, which came from central. */
  SURPLUS,
  /** Only the client has a row, a local one. */
  LOCAL,
  /** It was sent once more, and is as it should be. */
  REPAIRED,
  /** It was sent once more, and still differs. */
  UNREPAIRED;

  /**
   * Decides about a key.
   *
   * @param central the hash of central's row; empty: it has none
   * @param client the hash of the client's row; empty: it has none
   * @param isShared whether the client's table also has rows of its own
   * @param isReplicated whether the client has noted the key as central's; only in a shared table
   */
  static Verdict of(
      OptionalLong central, OptionalLong client, boolean isShared, boolean isReplicated) {
    boolean isCentrals = isReplicated || !isShared;
    if (central.isEmpty() && client.isEmpty()) {
      return isReplicated ? ORPHANED : EQUAL;
    } else if (client.isEmpty()) {
      return MISSING;
    } else if (central.isEmpty()) {
      return isCentrals ? SURPLUS : LOCAL;
    }
    return central.equals(client) && isCentrals ? EQUAL : STALE;
  }

  /** The same after a repair. */
  Verdict afterRepair() {
    return switch (this) {
      case EQUAL, LOCAL -> REPAIRED;
      case MISSING, STALE, SURPLUS, ORPHANED -> UNREPAIRED;
      default -> this;
    };
  }

  /** As central keeps it. */
  String text() {
    return name().toLowerCase(Locale.ROOT);
  }
}
