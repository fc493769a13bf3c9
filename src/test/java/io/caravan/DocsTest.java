package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The README stays short, and links in the documentation lead somewhere. */
class DocsTest {
  static final Path README = Path.of("README.md");
  private static final int MOST_LINES = 150;
  private static final Pattern LINK = Pattern.compile("]\\(([^)\\s]+)\\)");
  private static final Pattern CODE = Pattern.compile("`[^`]*`");
  private static final Pattern ELSEWHERE = Pattern.compile("[a-z]+:.*");
  private static final Pattern HEADING = Pattern.compile("#{1,6} (.*)");

  @Test
  void theReadmeIsShort() throws IOException {
    assertThat(Files.readAllLines(README)).hasSizeLessThanOrEqualTo(MOST_LINES);
  }

  @Test
  void eachLinkLeadsToAFileThatIsThereAndToAHeadingOfIt() throws IOException {
    List<String> broken = new ArrayList<>();
    int links = 0;
    for (Path file : files()) {
      for (String link : links(file)) {
        links++;
        if (!leadsSomewhere(file, link)) {
          broken.add(file + ": " + link);
        }
      }
    }

    assertThat(broken).isEmpty();
    assertThat(links).isPositive();
  }

  @Test
  void anchorsAreThoseThatACodeHostMakes() {
    List<String> lines =
        List.of("# A client's `COPY`, twice", "```", "# no heading", "```", "## Two", "## Two");

    assertThat(anchors(lines)).containsExactlyInAnyOrder("a-clients-copy-twice", "two", "two-1");
  }

  private static boolean leadsSomewhere(Path file, String link) {
    int hash = link.indexOf('#');
    String name = hash < 0 ? link : link.substring(0, hash);
    Path target = name.isEmpty() ? file : file.resolveSibling(name).normalize();
    if (!Files.exists(target)) {
      return false;
    }
    return hash < 0 || anchors(lines(target)).contains(link.substring(hash + 1));
  }

  /** The relative links of a file; what stands in code is none. */
  private static List<String> links(Path file) {
    return prose(lines(file))
        .flatMap(line -> LINK.matcher(CODE.matcher(line).replaceAll("")).results())
        .map(link -> link.group(1))
        .filter(link -> !ELSEWHERE.matcher(link).matches())
        .toList();
  }

  private static Set<String> anchors(List<String> lines) {
    Set<String> anchors = new HashSet<>();
    Map<String, Integer> times = new HashMap<>();
    prose(lines)
        .map(HEADING::matcher)
        .filter(Matcher::matches)
        .map(heading -> anchor(heading.group(1)))
        .forEach(
            anchor -> {
              int earlier = times.merge(anchor, 1, Integer::sum) - 1;
              anchors.add(earlier == 0 ? anchor : anchor + "-" + earlier);
            });
    return anchors;
  }

  private static String anchor(String heading) {
    return heading
        .strip()
        .toLowerCase(Locale.ROOT)
        .replaceAll("[^\\p{L}\\p{N}\\p{M}_ -]", "")
        .replace(' ', '-');
  }

  /** The lines that are not in a block of code. */
  private static Stream<String> prose(List<String> lines) {
    List<String> prose = new ArrayList<>();
    boolean isCode = false;
    for (String line : lines) {
      boolean isFence = line.strip().startsWith("```");
      if (!isFence && !isCode) {
        prose.add(line);
      }
      isCode ^= isFence;
    }
    return prose.stream();
  }

  private static List<Path> files() throws IOException {
    List<Path> files =
        new ArrayList<>(List.of(README, Path.of("CONTRIBUTING.md"), Path.of("CHANGELOG.md")));
    files.addAll(pages());
    return files;
  }

  /** The pages in {@code docs/}, sorted. */
  static List<Path> pages() throws IOException {
    try (Stream<Path> docs = Files.list(Path.of("docs"))) {
      return docs.filter(file -> file.toString().endsWith(".md")).sorted().toList();
    }
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
