package io.caravan.client;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * By which a client's replicated rows are noted: a number for each entry of its mapping. It follows
 * from names alone, so that a note keeps its meaning whatever else the client has lost. Clients
 * hold these numbers: how they are computed can't be changed.
 */
public final class TargetNumber {
  private TargetNumber() {}

  /**
   * The first 64 bits of an MD5.
   *
   * @param table as the mapping names it
   * @param entry which of the entries that take this source to this table, from 1 on
   */
  public static long of(String client, String source, String table, int entry) {
    String names = String.join("\n", client, source, table, String.valueOf(entry));
    try {
      byte[] md5 = MessageDigest.getInstance("MD5").digest(names.getBytes(StandardCharsets.UTF_8));
      return ByteBuffer.wrap(md5).getLong();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The numbers of a mapping's targets. */
  public static Map<Target, Long> of(String client, Mapping mapping) {
    Map<Target, Long> numbers = new HashMap<>();
    Set<Long> taken = new HashSet<>();
    for (Target target : mapping.targets()) {
      int entry = 1;
      while (!taken.add(of(client, target.source(), target.table(), entry))) {
        entry++;
      }
      numbers.put(target, of(client, target.source(), target.table(), entry));
    }
    return numbers;
  }
}
