package io.caravan.reconcile;

/**
 * A column of a client's table, as its own catalog describes it.
 *
 * @param name without quotes
 * @param type its base type without a modifier, as SQL names it
 * @param modifier of the type, as PostgreSQL keeps the length of a text; -1: none
 * @param isText whether it is a text or an enum, which central may compare as text if it lacks the
 *     type
 */
public record Column(String name, String type, int modifier, boolean isText) {}
