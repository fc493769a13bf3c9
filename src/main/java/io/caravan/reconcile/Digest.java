package io.caravan.reconcile;

import java.util.ArrayList;
import java.util.List;

/**
 * A digest of rows. Two of them are equal if the rows are.
 *
 * @param rows how many
 * @param total the XOR of the hashes of all rows
 * @param buckets of each bucket the XOR of the lower halves of its rows' hashes, in the order of
 *     the patterns and then of the further bits; what the other halves would show is in the total
 */
public record Digest(long rows, long total, List<Long> buckets) {
  /** The digest of no rows, whatever the buckets. */
  static final Digest NONE = new Digest(0, 0, List.of());

  /** The digest of the rows of both, which have none in common. */
  public Digest plus(Digest other) {
    return combined(other, rows + other.rows);
  }

  /** The digest of these rows without those of another digest, which are among them. */
  public Digest minus(Digest other) {
    return combined(other, rows - other.rows);
  }

  private Digest combined(Digest other, long count) {
    if (buckets.isEmpty()) {
      return new Digest(count, other.total, other.buckets);
    }
    if (buckets.size() != other.buckets.size()) {
      throw new IllegalArgumentException("the digests do not have the same buckets");
    }
    List<Long> both = new ArrayList<>(buckets.size());
    for (int i = 0; i < buckets.size(); i++) {
      both.add(buckets.get(i) ^ other.buckets.get(i));
    }
    return new Digest(count, total ^ other.total, both);
  }
}
