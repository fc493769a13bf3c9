package io.caravan.read;

import io.caravan.CentralFailure;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;

/**
 * What a client gets.
 *
 * @param answer of central
 * @param began when the read began, in nanoseconds: it has seen all that was committed before
 * @param isShared whether it was read for all that stand where it begins: each of them has a cursor
 *     of its own, which is known when the page was applied, or stays
 * @param hasMore whether to read on at once
 * @param after where the client stands that has applied it; empty where no other can follow
 */
public record Page(
    Answer answer, long began, boolean isShared, boolean hasMore, Optional<Chains.Place> after) {

  /** As it was read. */
  Page(Answer answer, long began, Optional<Chains.Place> after) {
    this(answer, began, false, answer.hasMore(), after);
  }

  /** A page that is being read; waits for it. */
  static Page join(CompletableFuture<Page> page) throws CentralFailure {
    try {
      return page.join();
    } catch (CompletionException e) {
      throw new CentralFailure(e.getCause());
    }
  }

  /** Whether there is nothing to apply. */
  public boolean isEmpty() {
    return answer.progress() == null;
  }

  /** About how many characters it has. */
  int size() {
    return isEmpty() ? 0 : answer.page().length();
  }

  /** The page as JSON. */
  public String text() {
    return answer.page();
  }

  /** What it brings, in words. */
  public String progress() {
    return answer.progress();
  }

  /** The sources of which the client may have rows that are gone from central, parents first. */
  public List<String> doubted() {
    return answer.doubted();
  }

  /** The clients that have unresolved dead letters; {@code *} for all. */
  public Set<String> refusing() {
    return answer.refusing();
  }

  /** The same where a client has got a dead letter since it was read. */
  Page refusedBy(String client) {
    Set<String> refusing = new HashSet<>(answer.refusing());
    refusing.add(client);
    return new Page(answer.with(refusing), began, isShared, hasMore, after);
  }

  /** The same for another client that stands where it begins. */
  Page shared() {
    return new Page(answer, began, true, hasMore, after);
  }

  /** The same, after which to read on at once. */
  Page withMore() {
    return new Page(answer, began, isShared, true, after);
  }
}
