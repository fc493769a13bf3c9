package io.caravan.reconcile;

/**
 * What one side has answered so far to the question for a digest.
 *
 * @param digest of all parts until now
 * @param block where the next one begins
 * @param noted how many keys the client has noted; {@link DigestPart#UNKNOWN}
 */
record Sum(Digest digest, Block block, long noted) {
  static final Sum NONE = new Sum(Digest.NONE, new Block(0, 0), DigestPart.UNKNOWN);

  boolean isComplete() {
    return block.next() == Block.END;
  }

  Sum plus(DigestPart part) {
    return new Sum(digest.plus(part.digest()), part.block(), Math.max(noted, part.noted()));
  }

  /** How much of the table that is, from 0 to 1. */
  double share() {
    return (isComplete() ? block.blocks() : block.next()) / (double) Math.max(block.blocks(), 1);
  }
}
