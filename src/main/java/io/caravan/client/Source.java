package io.caravan.client;

import java.util.List;
import java.util.Map;

/**
 * A source as a page of its changes describes it.
 *
 * @param key the columns of its key
 * @param columns the columns whose values a row has, in that order, each with its type in central
 */
public record Source(List<String> key, Map<String, String> columns) {}
