package io.caravan.apply;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What is taken from a page, which stays the text that it is. */
class PageTextTest {
  private static final String CHANGES =
      "{\"public.a\": [[[1.50, \"x\"], \"{\\\"]]\\\": 1}\", null], [[2, \"y\"]]], \"public.\\\"b\\\"\": [[[12345678901234567890], \"€\"]]}";
  private final PageText page =
      new PageText(
          "{\"cursor\": {\"window\": {\"upto\": \"1:2:\"}}, \"sources\": {\"public.a\": {\"key\": [\"n\", \"t\"], \"columns\": {\"z\": \"numeric\", \"a\": \"text\"}}},"
              + " \"cleared\": [\"public.c\"], \"gone\": [\"public.a\"], \"changes\": "
              + CHANGES
              + "}");

  @Test
  void isWhatCentralHasWritten() {
    assertThat(page.cursor()).isEqualTo("{\"window\": {\"upto\": \"1:2:\"}}");
    assertThat(page.cleared()).containsExactly("public.c");
    assertThat(page.gone()).containsExactly("public.a");
    assertThat(page.sources().get("public.a").key()).containsExactly("n", "t");
    assertThat(page.sources().get("public.a").columns()).hasToString("{z=numeric, a=text}");
    assertThat(page.changes()).isEqualTo(CHANGES);
  }

  @Test
  void fallsIntoItsChangesAndCanBePutTogetherAgain() {
    List<Change> list = page.list();

    assertThat(list)
        .containsExactly(
            new Change(
                "public.a", "[1.50, \"x\"]", "[[1.50, \"x\"], \"{\\\"]]\\\": 1}\", null]", false),
            new Change("public.a", "[2, \"y\"]", "[[2, \"y\"]]", true),
            new Change(
                "public.\"b\"",
                "[12345678901234567890]",
                "[[12345678901234567890], \"€\"]",
                false));
    assertThat(PageText.changes(list)).isEqualTo(CHANGES);
    assertThat(PageText.gone(list)).containsExactly("public.a");
  }

  @Test
  void isRefusedWhereItIsNone() {
    assertThatThrownBy(() -> new PageText("{\"other\": 1}"))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
