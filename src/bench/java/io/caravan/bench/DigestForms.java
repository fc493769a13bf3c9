package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What a digest of all rows takes in one process, by the hash: PostgreSQL's own, which Caravan
 * uses, and those that another database can compute, too. Of these, Java computes the same: it
 * stands for that database.
 */
final class DigestForms implements Section {
  private static final String READ = "count the rows";
  private static final String OWN = "PostgreSQL's own hash";
  private static final Map<String, String> SAME_ELSEWHERE =
      Map.of("md5", "MD5", "sha256", "SHA-256");

  private static final Map<String, String> FORMS = new LinkedHashMap<>();

  static {
    // Each value with its length before it: so no two rows have the same text.
    String row =
        List.of("id::text", "name", "email").stream()
            .map("coalesce(octet_length(%1$s) || ':' || %1$s, '-')"::formatted)
            .reduce("%s || %s"::formatted)
            .orElseThrow();
    String lastBits = "group by %s & 16383";
    FORMS.put(READ, "select count(*) from users");
    FORMS.put(
        OWN,
        digest(
            "hashtextextended(coalesce(email, '') collate \"C\", hashtextextended(coalesce(name, '') collate \"C\", id # 1))",
            lastBits.formatted("hashint8extended(id >> 4, 1)")));
    FORMS.put(
        "md5",
        digest(
            "('x' || left(md5(%s), 16))::bit(64)::bigint".formatted(row),
            lastBits.formatted("(id >> 4)")));
    FORMS.put(
        "sha256",
        digest(
            "('x' || left(encode(sha256(convert_to(%s, 'UTF8')), 'hex'), 16))::bit(64)::bigint"
                .formatted(row),
            lastBits.formatted("(id >> 4)")));
  }

  private static String digest(String hash, String group) {
    return "select bit_xor(hash) from (select bit_xor(%s) as hash from users %s) as bucket"
        .formatted(hash, group);
  }

  @Override
  public void run(Stage stage, Options options, Report report) {
    Report.Case forms =
        report.begin("digests", "a digest of %,d rows".formatted(stage.rows()), OWN);
    Database central = stage.central("digests");
    for (String name : SAME_ELSEWHERE.keySet()) {
      long java = inJava(central, SAME_ELSEWHERE.get(name));
      if (Long.parseLong(central.value(FORMS.get(name))) != java) {
        throw new IllegalStateException("Java computes another digest with " + name);
      }
    }
    for (int turn = 0; turn < options.turns(); turn++) {
      FORMS.forEach((name, query) -> forms.add(name, "ms", millis(central, query)));
    }
    forms.print();
  }

  private static double millis(Database central, String query) {
    long start = System.nanoTime();
    central.execute("set max_parallel_workers_per_gather = 0; set jit = off; " + query);
    return (System.nanoTime() - start) / 1e6;
  }

  private static long inJava(Database central, String algorithm) {
    long all = 0;
    for (List<String> row : central.query("select id, name, email from users")) {
      StringBuilder text = new StringBuilder();
      for (String value : row) {
        text.append(
            value == null ? "-" : value.getBytes(StandardCharsets.UTF_8).length + ":" + value);
      }
      all ^= hash(text.toString(), algorithm);
    }
    return all;
  }

  private static long hash(String text, String algorithm) {
    try {
      byte[] bytes =
          MessageDigest.getInstance(algorithm).digest(text.getBytes(StandardCharsets.UTF_8));
      return new BigInteger(1, bytes).shiftRight(8 * bytes.length - 64).longValue();
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
