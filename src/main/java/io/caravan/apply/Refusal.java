package io.caravan.apply;

/**
 * A change that a client refuses.
 *
 * @param change that is refused
 * @param sqlState the database's code for the cause
 * @param message the cause in words, without row data
 */
public record Refusal(Change change, String sqlState, String message) {}
