package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/** What goes on for long is told once. */
class NewsTest {
  private final News news = new News();

  @Test
  void whatWasToldIsNoNewsUntilItIsOver() {
    assertThat(news.isNew("down")).isTrue();
    assertThat(news.isNew("locked")).isTrue();
    assertThat(news.isNew("down")).isFalse();

    news.areOver();

    assertThat(news.isAny()).isFalse();
    assertThat(news.isNew("down")).isTrue();
  }

  @Test
  void oneThingMayBeOverWhileAnotherGoesOn() {
    news.isNew("down");
    news.isNew("locked");

    news.areOverBut(List.of("locked"));

    assertThat(news.isAny()).isTrue();
    assertThat(news.isNew("locked")).isFalse();
    assertThat(news.isNew("down")).isTrue();
  }
}
