package io.caravan.client;

import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A source as a page of its changes describes it.
 *
 * @param key the columns of its key
 * @param columns the columns whose values a row has, in that order, each with its type in central
 */
public record Source(List<String> key, Map<String, String> columns) {

  /** The same with these of its columns, and those of the key. */
  public Source with(Collection<String> names) {
    Map<String, String> some = new LinkedHashMap<>(columns);
    some.keySet().removeIf(name -> !names.contains(name) && !key.contains(name));
    return new Source(key, some);
  }
}
