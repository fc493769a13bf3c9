package io.caravan.apply;

/**
 * A change that a client refuses.
 *
 * @param change that is refused
 * @param sqlState the database's code for the cause
 * @param message the cause in words; it may quote row data if {@code caravan.errorMessages} is on
 */
public record Refusal(Change change, String sqlState, String message) {}
