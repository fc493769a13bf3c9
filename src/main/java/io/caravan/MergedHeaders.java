package io.caravan;

import org.apache.camel.AggregationStrategy;
import org.apache.camel.Exchange;

/**
 * Makes the branches of a multicast one message, which has the headers that any of them has set.
 */
public final class MergedHeaders implements AggregationStrategy {
  @Override
  public Exchange aggregate(Exchange merged, Exchange branch) {
    if (merged == null) {
      return branch;
    }
    branch.getMessage().getHeaders().forEach(merged.getMessage().getHeaders()::putIfAbsent);
    if (merged.getException() == null) {
      merged.setException(branch.getException());
    }
    return merged;
  }
}
