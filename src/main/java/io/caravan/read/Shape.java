package io.caravan.read;

import io.caravan.client.Source;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What of central's sources is read.
 *
 * @param tracked the sources
 * @param sources the same, as pages describe them
 * @param siblings for each, the places of those that may have a row which it has no more
 * @param log which view of the log may be read
 */
record Shape(
    List<Tracked> tracked, List<Source> sources, List<List<Integer>> siblings, String log) {

  String name(int id) {
    return tracked.get(place(id)).name();
  }

  /** The names of those that may have a row which the source has no more. */
  List<String> siblings(int id) {
    return siblings.get(place(id)).stream().map(i -> tracked.get(i).name()).toList();
  }

  private int place(int id) {
    int place = 0;
    while (tracked.get(place).id() != id) {
      place++;
    }
    return place;
  }

  Map<String, Source> described() {
    Map<String, Source> described = new LinkedHashMap<>();
    for (int i = 0; i < tracked.size(); i++) {
      described.put(tracked.get(i).name(), sources.get(i));
    }
    return described;
  }
}
