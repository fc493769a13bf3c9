package io.caravan.client;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Question marks in SQL, which JDBC takes for parameters. */
public final class QuestionMarks {
  // What is between quotes or in a comment JDBC's driver leaves alone.
  private static final Pattern QUOTED_OR_MARK =
      Pattern.compile(
          "[eE]'(?:[^'\\\\]|\\\\.|'')*'|'[^']*'|\"[^\"]*\"|(\\$\\w*\\$).*?\\1|--[^\\n]*|/\\*.*?\\*/|\\?",
          Pattern.DOTALL);

  private QuestionMarks() {}

  /** Writes those twice that are operators or parts of one. */
  public static String escape(String sql) {
    return QUOTED_OR_MARK
        .matcher(sql)
        .replaceAll(
            found -> found.group().equals("?") ? "??" : Matcher.quoteReplacement(found.group()));
  }
}
