package io.caravan.reconcile;

/**
 * The digest of a part of a table.
 *
 * @param digest of the rows of the part
 * @param block where the next part begins
 * @param noted how many keys the client has noted as central's, without those that are to be
 *     omitted; {@link #UNKNOWN}: it was not asked, or it notes none
 */
public record DigestPart(Digest digest, Block block, long noted) {
  /** Nobody has counted. */
  public static final long UNKNOWN = -1;
}
