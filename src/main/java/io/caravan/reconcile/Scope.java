package io.caravan.reconcile;

import java.util.List;

/**
 * Which rows are meant, and how finely a digest tells them apart. A row belongs to the bucket that
 * the last bits of its key's hash say.
 *
 * @param seed of the hashes
 * @param bits how long the patterns of {@code within} are
 * @param within the rows whose key's hash ends in one of these patterns
 * @param more by how many further bits a digest tells these rows apart
 * @param owned whether the client answers only for rows that it has noted as central's
 * @param counts whether the client also counts the keys that it has noted as central's
 * @param omit keys that are left out, because the client refuses them; as they are in the log
 */
public record Scope(
    long seed,
    int bits,
    List<Long> within,
    int more,
    boolean owned,
    boolean counts,
    List<String> omit) {}
