package io.caravan.client;

import java.util.List;

/**
 * A source that a mapping names.
 *
 * @param source its name
 * @param fingerprint of what the mapping says of it
 * @param columns that the client gets; null: all
 * @param siblings other sources that fill the same table: a row that this one has no more, one of
 *     them may have
 */
public record Wanted(
    String source, String fingerprint, List<String> columns, List<String> siblings) {

  /** The same with these columns. */
  public Wanted with(List<String> some) {
    return new Wanted(source, fingerprint, some, siblings);
  }
}
