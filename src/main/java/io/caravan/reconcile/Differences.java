package io.caravan.reconcile;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * What differs between two lists of rows that come at the same time. Rows that are equal go as soon
 * as both are there, so that little is kept.
 */
final class Differences {
  private final Map<String, Listed> central = new HashMap<>();
  private final Map<String, Listed> client = new HashMap<>();
  private final List<String> stale = new ArrayList<>();

  synchronized void addOfCentral(Listed row) {
    Listed other = client.remove(row.keyText());
    if (other == null) {
      central.put(row.keyText(), row);
    } else if (other.hash() != row.hash()) {
      stale.add(row.key());
    }
  }

  synchronized void addOfClient(Listed row) {
    Listed other = central.remove(row.keyText());
    if (other == null) {
      client.put(row.keyText(), row);
    } else if (other.hash() != row.hash()) {
      stale.add(other.key());
    }
  }

  /** The keys of central's rows that the client lacks or has otherwise. */
  synchronized List<String> keys() {
    List<String> keys = new ArrayList<>(stale);
    central.values().forEach(row -> keys.add(row.key()));
    return keys;
  }

  /** The keys of the client's rows that central lacks, as the client writes them. */
  synchronized List<String> keyTexts() {
    return List.copyOf(client.keySet());
  }
}
