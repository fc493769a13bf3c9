package io.caravan.apply;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.client.Cursor;
import io.caravan.client.Source;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * A page of changes, as {@code io.caravan.read.PageWriter} writes it. Its rows stay text: whatever
 * is taken from a page is a piece of that text.
 */
public final class PageText {
  private static final ObjectMapper JSON =
      new ObjectMapper(
          JsonFactory.builder()
              .streamReadConstraints(
                  StreamReadConstraints.builder()
                      .maxStringLength(Integer.MAX_VALUE)
                      .maxNumberLength(Integer.MAX_VALUE)
                      .build())
              .build());

  private final String text;
  private String cursor = "";
  private Map<String, Source> sources = Map.of();
  private List<String> cleared = List.of();
  private Set<String> gone = Set.of();
  private List<Oversized> oversized = List.of();
  private int changesAt;
  private boolean isLoading;

  /**
   * A page as {@code io.caravan.read.PageWriter} writes it.
   *
   * @throws IllegalArgumentException if the text is not a page
   */
  public PageText(String text) {
    this.text = text;
    try (JsonParser parser = JSON.createParser(text)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String name = parser.currentName();
        parser.nextToken();
        int from = at(parser);
        switch (name) {
          case "cursor" -> {
            parser.skipChildren();
            cursor = text.substring(from, at(parser) + 1);
            isLoading = Cursor.parse(cursor).loaded() != null;
          }
          case "sources" -> sources = JSON.readValue(parser, new TypeReference<>() {});
          case "cleared" -> cleared = JSON.readValue(parser, new TypeReference<>() {});
          case "gone" -> gone = JSON.readValue(parser, new TypeReference<>() {});
          case "oversized" -> oversized = oversized(parser);
          case "changes" -> {
            changesAt = from;
            return;
          }
          default -> throw new IllegalArgumentException("a page has no " + name);
        }
      }
    } catch (IOException e) {
      throw new IllegalArgumentException("not a page: " + e.getMessage(), e);
    }
  }

  private List<Oversized> oversized(JsonParser parser) throws IOException {
    List<Oversized> rows = new ArrayList<>();
    while (parser.nextToken() == JsonToken.START_ARRAY) {
      String source = parser.nextTextValue();
      parser.nextToken();
      int keyFrom = at(parser);
      parser.skipChildren();
      String key = text.substring(keyFrom, at(parser) + 1);
      rows.add(new Oversized(source, key, parser.nextLongValue(0)));
      parser.nextToken();
    }
    return rows;
  }

  /** Where the token is that a parser has read last. */
  static int at(JsonParser parser) {
    return (int) parser.currentTokenLocation().getCharOffset();
  }

  /** A parser of a part of a page. */
  static JsonParser parser(String text) throws IOException {
    return JSON.createParser(text);
  }

  /** Whether it has been made of this very text. */
  @SuppressWarnings("ReferenceEquality")
  public boolean isOf(String page) {
    return page == text;
  }

  /** Whether it brings rows that are new to the client, as far as is known. */
  public boolean isOfInitialLoad() {
    return gone.isEmpty() && cleared.isEmpty() && isLoading;
  }

  /** The cursor that the client has when it has applied the page, as JSON. */
  public String cursor() {
    return cursor;
  }

  /**
   * Which changes follow.
   *
   * @param mayGrow whether the page may be read again with more of them
   */
  public PageTransaction.Others others(boolean mayGrow) {
    // Only pages of an initial load, the last one included, say what the client is loaded with.
    if (isLoading) {
      return PageTransaction.Others.OF_INITIAL_LOAD;
    }
    return mayGrow && Cursor.parse(cursor).window() != null
        ? PageTransaction.Others.IN_WINDOW
        : PageTransaction.Others.NONE;
  }

  /** The sources of which the page brings something, by name. */
  public Map<String, Source> sources() {
    return sources;
  }

  /** The sources that were truncated. */
  public List<String> cleared() {
    return cleared;
  }

  /** The sources of which rows are gone. */
  public Set<String> gone() {
    return gone;
  }

  /** The rows that are too large to be sent. */
  public List<Oversized> oversized() {
    return oversized;
  }

  /** All changes as a JSON object, source → changes. */
  public String changes() {
    return text.substring(changesAt, text.length() - 1);
  }

  /** The changes one by one, in their order. */
  public List<Change> list() {
    List<Change> list = new ArrayList<>();
    String changes = changes();
    try (JsonParser parser = JSON.createParser(changes)) {
      parser.nextToken();
      while (parser.nextToken() == JsonToken.FIELD_NAME) {
        String source = parser.currentName();
        parser.nextToken();
        while (parser.nextToken() == JsonToken.START_ARRAY) {
          int from = at(parser);
          parser.nextToken();
          int keyFrom = at(parser);
          parser.skipChildren();
          String key = changes.substring(keyFrom, at(parser) + 1);
          boolean isGone = parser.nextToken() == JsonToken.END_ARRAY;
          while (parser.currentToken() != JsonToken.END_ARRAY) {
            parser.nextToken();
          }
          list.add(new Change(source, key, changes.substring(from, at(parser) + 1), isGone));
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return list;
  }

  /** Some changes as a JSON object, source → changes. */
  public static String changes(List<Change> list) {
    Map<String, List<String>> bySource = new LinkedHashMap<>();
    for (Change change : list) {
      bySource.computeIfAbsent(change.source(), name -> new ArrayList<>()).add(change.text());
    }
    return bySource.entrySet().stream()
        .map(entry -> quoted(entry.getKey()) + ": " + entry.getValue())
        .collect(Collectors.joining(", ", "{", "}"));
  }

  /** The sources of which rows are gone, of some changes. */
  public static Set<String> gone(List<Change> list) {
    Set<String> gone = new HashSet<>();
    list.stream().filter(Change::isGone).forEach(change -> gone.add(change.source()));
    return gone;
  }

  /**
   * A row that is too large to be sent.
   *
   * @param key as JSON
   * @param bytes of the texts of its values
   */
  public record Oversized(String source, String key, long bytes) {}

  private static String quoted(String text) {
    return JSON.getNodeFactory().textNode(text).toString();
  }
}
