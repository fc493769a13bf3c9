package io.caravan.client;

import java.util.List;

/**
 * A source that a mapping names.
 *
 * @param source its name
 * @param fingerprint of what the mapping says of it
 * @param columns that the client gets; null: all
 */
public record Wanted(String source, String fingerprint, List<String> columns) {

  /** The same with these columns. */
  public Wanted with(List<String> some) {
    return new Wanted(source, fingerprint, some);
  }
}
