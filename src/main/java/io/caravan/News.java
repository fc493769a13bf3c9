package io.caravan;

import java.util.Collection;
import java.util.HashSet;
import java.util.Set;

/** What is worth a line in the log: what goes on for long is told once. */
public final class News {
  private final Set<String> told = new HashSet<>();

  /** Whether this has not been told since it was last over. From now on it has. */
  public synchronized boolean isNew(String text) {
    return told.add(text);
  }

  /** Whether anything goes on of what was told. */
  public synchronized boolean isAny() {
    return !told.isEmpty();
  }

  /** All of it is over: what comes again is news. */
  public synchronized void areOver() {
    told.clear();
  }

  /** All of it is over but for these. */
  public synchronized void areOverBut(Collection<String> texts) {
    told.retainAll(texts);
  }
}
