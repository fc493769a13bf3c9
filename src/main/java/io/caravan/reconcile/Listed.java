package io.caravan.reconcile;

/**
 * A row of a list.
 *
 * @param hash of its values, its key among them
 * @param keyText the target's key, as the text of an array of texts: the same on both sides
 * @param key as it is in the change log; empty at a client, which does not know it
 */
public record Listed(long hash, String keyText, String key) {}
