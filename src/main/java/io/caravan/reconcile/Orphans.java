package io.caravan.reconcile;

import java.util.List;

/**
 * Keys that a client has noted as central's without having a row.
 *
 * @param keys of this part, as they are noted
 * @param after the noted key after which the next part begins; empty: there is no further part
 */
public record Orphans(List<String> keys, String after) {}
