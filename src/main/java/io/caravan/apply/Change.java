package io.caravan.apply;

/**
 * A change of a page.
 *
 * @param source whose key changed
 * @param key as JSON, for instance {@code [42]}
 * @param text the change as JSON: the key and the row's values, or nothing but the key
 * @param isGone whether there is no row any more
 */
public record Change(String source, String key, String text, boolean isGone) {}
