package io.caravan.reconcile;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.LongStream;

/**
 * Which rows are meant, and how finely a digest tells them apart. A row belongs to the bucket that
 * the last bits of its key's hash say.
 *
 * @param seed of the hashes
 * @param bits how long the patterns of {@code within} are
 * @param within the rows whose key's hash ends in one of these patterns
 * @param more by how many further bits a digest tells these rows apart
 * @param replicated whether the client answers only for rows that it has noted as central's
 * @param counts whether the client also counts the keys that it has noted as central's
 * @param omit keys that are left out, because the client refuses them; as they are in the log
 */
public record Scope(
    long seed,
    int bits,
    List<Long> within,
    int more,
    boolean replicated,
    boolean counts,
    List<String> omit) {

  /** How long the patterns of the buckets are that a digest tells apart. */
  int depth() {
    return bits + more;
  }

  /** The patterns of the buckets in which two digests in this scope differ. */
  List<Long> differing(Digest one, Digest other) {
    List<Long> patterns = new ArrayList<>();
    int perPattern = 1 << more;
    for (int i = 0; i < within.size() * perPattern; i++) {
      if (!one.buckets().get(i).equals(other.buckets().get(i))) {
        patterns.add(within.get(i / perPattern) | (long) (i % perPattern) << bits);
      }
    }
    return patterns;
  }

  /** The rows of these buckets, each told apart by some more bits. */
  Scope narrowed(List<Long> patterns, int further) {
    return new Scope(seed, depth(), patterns, further, replicated, false, omit);
  }

  /** The rows of these of the buckets that are told apart here. */
  Scope of(List<Long> patterns) {
    return narrowed(patterns, 0);
  }

  /** The same with other hashes. */
  Scope reseeded() {
    return new Scope(seed + 1, bits, within, more, replicated, false, omit);
  }

  /**
   * All rows, of which the client digests only those that it has noted as central's; some buckets
   * at a time, for which it has room in memory.
   *
   * @param passes how often it reads the rows, as a power of 2
   * @param depth how long the patterns of the buckets are in the end
   */
  Scope replicatedOnly(int passes, int depth) {
    List<Long> all = LongStream.range(0, 1L << passes).boxed().toList();
    return new Scope(seed, passes, all, depth - passes, true, false, omit);
  }

  /** The same, without counting what is noted. */
  Scope uncounted() {
    return new Scope(seed, bits, within, more, replicated, false, omit);
  }

  /** The same with other keys that are left out. */
  Scope omitting(List<String> keys) {
    return new Scope(seed, bits, within, more, replicated, counts, keys);
  }

  /** A digest in this scope with its buckets in the order of their patterns. */
  Digest inOrder(Digest digest) {
    List<Long> buckets = new ArrayList<>(Collections.nCopies(digest.buckets().size(), 0L));
    int perPattern = 1 << more;
    for (int i = 0; i < digest.buckets().size(); i++) {
      long pattern = within.get(i / perPattern) | (long) (i % perPattern) << bits;
      buckets.set((int) pattern, digest.buckets().get(i));
    }
    return new Digest(digest.rows(), digest.total(), buckets);
  }
}
