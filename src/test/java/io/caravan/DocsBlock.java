package io.caravan;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A block of commands on a page of the documentation.
 *
 * @param page that it is on
 * @param line that it begins in
 * @param language {@code sh}, or {@code sql} for what is typed in central
 * @param text the commands
 * @param whyNot it cannot be run here; empty: it can. The page says so in a comment before it,
 *     which readers do not see: {@code <!-- not run: why -->}
 * @param goesOn its last command runs until it is stopped: {@code <!-- goes on -->}
 */
record DocsBlock(Path page, int line, String language, String text, String whyNot, boolean goesOn) {
  private static final Pattern FENCE = Pattern.compile("```(sh|sql)");
  private static final Pattern NOT_RUN = Pattern.compile("<!-- not run: (.*) -->");
  private static final String GOES_ON = "<!-- goes on -->";

  /** Those of a page, in its order. */
  static List<DocsBlock> of(Path page) throws IOException {
    List<DocsBlock> blocks = new ArrayList<>();
    List<String> lines = Files.readAllLines(page);
    for (int n = 0; n < lines.size(); n++) {
      Matcher fence = FENCE.matcher(lines.get(n));
      if (fence.matches()) {
        int end = n + lines.subList(n, lines.size()).indexOf("```");
        String before = n == 0 ? "" : lines.get(n - 1);
        Matcher notRun = NOT_RUN.matcher(before);
        blocks.add(
            new DocsBlock(
                page,
                n + 1,
                fence.group(1),
                String.join("\n", lines.subList(n + 1, end)) + "\n",
                notRun.matches() ? notRun.group(1) : "",
                before.equals(GOES_ON)));
        n = end;
      }
    }
    return blocks;
  }

  boolean isRun() {
    return whyNot.isEmpty();
  }

  @Override
  public String toString() {
    return page + ":" + line;
  }
}
