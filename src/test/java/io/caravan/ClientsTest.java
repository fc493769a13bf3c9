package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Which clients a hub works for, and when it leaves one to another. */
class ClientsTest {
  private static final String CURSOR = "{\"snapshot\": \"1:1:\"}";

  private final Clients clients = new Clients();

  @Test
  void whoRestsIsNotActive() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");
    clients.progressed("shop", "[]", 5, CURSOR, "[]");
    assertThat(clients.countActive()).isEqualTo(2);

    clients.failed("blog", new IOException("no answer"), "jdbc://blog?");

    assertThat(clients.countActive()).isEqualTo(1);
  }

  @Test
  void aClientThatMovedWithoutThisHubIsServedByAnother() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");

    assertThat(isServedByAnother(6, true)).isTrue();
    assertThat(isResting()).isTrue();
  }

  @Test
  void aClientThatMovedLongAgoIsNot() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");

    assertThat(isServedByAnother(6, false)).isFalse();
    assertThat(isResting()).isFalse();
  }

  @Test
  void aClientThatMovedWithAPageWhoseAnswerWasLostIsNot() {
    clients.progressed("blog", "[]", 5, CURSOR, "[]");
    clients.failed("blog", new IOException("no answer"), "jdbc://blog?");

    assertThat(isServedByAnother(6, true)).isFalse();
  }

  @Test
  void aHubThatHasJustStartedTakesAClientUp() {
    assertThat(isServedByAnother(6, true)).isFalse();
  }

  private boolean isServedByAnother(long step, boolean recent) {
    Map<String, Object> headers = new HashMap<>();
    clients.found("blog", step, recent, headers);
    return headers.get("byAnother").equals(true);
  }

  private boolean isResting() {
    Map<String, Object> headers = new HashMap<>();
    clients.begin("blog", headers);
    return headers.get("resting").equals(true);
  }
}
