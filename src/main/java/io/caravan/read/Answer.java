package io.caravan.read;

import io.caravan.client.Cursor;
import java.util.List;
import java.util.Set;

/**
 * What central has answered to a client that asked what follows its cursor.
 *
 * @param cursor of the client when it has applied the page
 * @param page as JSON; null: there is nothing to apply
 * @param progress what the page brings, in words; null: there is nothing to apply
 * @param refusing the clients that have unresolved dead letters; {@code *} for all
 * @param hasMore whether to ask again at once
 * @param doubted the sources of which the client may have rows that are gone from central, in the
 *     order in which they are loaded
 */
public record Answer(
    Cursor cursor,
    String page,
    String progress,
    Set<String> refusing,
    boolean hasMore,
    List<String> doubted) {

  /** An answer that leaves nothing in doubt. */
  Answer(Cursor cursor, String page, String progress, Set<String> refusing, boolean hasMore) {
    this(cursor, page, progress, refusing, hasMore, List.of());
  }

  /** The same where these sources are doubted. */
  Answer doubting(List<String> sources) {
    return new Answer(cursor, page, progress, refusing, hasMore, sources);
  }

  /** The same with other clients that have dead letters. */
  Answer with(Set<String> others) {
    return new Answer(cursor, page, progress, others, hasMore, doubted);
  }
}
