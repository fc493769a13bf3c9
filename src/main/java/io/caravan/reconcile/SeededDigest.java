package io.caravan.reconcile;

/** A digest, and the seed of its hashes. */
record SeededDigest(long seed, Digest digest) {
  static final SeededDigest NONE = new SeededDigest(0, Digest.NONE);

  /** Whether there is one. */
  boolean isKnown() {
    return !digest.buckets().isEmpty();
  }

  /** How long the patterns of its buckets are. */
  int depth() {
    return Integer.numberOfTrailingZeros(digest.buckets().size());
  }
}
