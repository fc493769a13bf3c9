package io.caravan.reconcile;

/**
 * A column that central can't compute, and so nobody compares.
 *
 * @param column of the target
 * @param why in central's words
 */
public record Uncomputed(String column, String why) {}
