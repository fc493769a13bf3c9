package io.caravan.reconcile;

import java.util.List;

/**
 * Some of the keys that a client has noted as central's.
 *
 * @param keys of this part, as they are noted
 * @param after the noted key after which the next part begins; empty: there is no further part
 */
public record Notes(List<String> keys, String after) {}
