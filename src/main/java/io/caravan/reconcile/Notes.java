package io.caravan.reconcile;

import java.util.List;

/**
 * Keys that a client has noted as central's.
 *
 * @param keys of this part
 * @param after the key after which the next part begins; empty: there is no further part
 */
public record Notes(List<String> keys, String after) {}
