package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import org.junit.jupiter.api.Test;

/** When a hub leaves a client to another. */
class ClientsTest {
  private static final String CURSOR = "{\"snapshot\": \"1:1:\"}";

  private final Clients clients = new Clients();

  @Test
  void aClientThatMovedWithoutThisHubIsServedByAnother() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");

    assertThat(clients.isServedByAnother("blog", 6, true)).isTrue();
    assertThat(clients.isResting("blog")).isTrue();
  }

  @Test
  void aClientThatMovedLongAgoIsNot() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");

    assertThat(clients.isServedByAnother("blog", 6, false)).isFalse();
    assertThat(clients.isResting("blog")).isFalse();
  }

  @Test
  void aClientThatMovedWithAPageWhoseAnswerWasLostIsNot() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");
    clients.failed("blog", new IOException("no answer"), "jdbc://blog?");

    assertThat(clients.isServedByAnother("blog", 6, true)).isFalse();
  }

  @Test
  void aHubThatHasJustStartedTakesAClientUp() {
    assertThat(clients.isServedByAnother("blog", 6, true)).isFalse();
  }
}
