package io.caravan.bench.figures;

import java.util.SortedMap;

/**
 * A line of a plot.
 *
 * @param contender whose it is
 * @param points the value for each place on the horizontal axis
 */
record Series(Contender contender, SortedMap<Integer, Double> points) {}
