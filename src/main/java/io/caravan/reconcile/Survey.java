package io.caravan.reconcile;

import java.util.List;
import java.util.Set;

/**
 * What a client says of a target before it is compared.
 *
 * @param cursor where the client stands, as JSON; empty: it has no cursor yet
 * @param key the columns of the target's key, in the order of the source's key
 * @param columns the other columns of the mapping
 * @param known the columns of the source whose type the client has, too; others are text there
 */
public record Survey(String cursor, List<Column> key, List<Column> columns, Set<String> known) {}
