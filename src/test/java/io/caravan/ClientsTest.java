package io.caravan;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.client.Clients;
import io.caravan.client.Cursor;
import io.caravan.client.Position;
import java.io.IOException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which clients a hub works for, and when it leaves one to another. */
class ClientsTest {
  private static final Position AT_5 =
      new Position(5, Cursor.parse("{\"epoch\": \"e\", \"snapshot\": \"1:1:\"}"), List.of(), false);

  private final Clients clients = new Clients();

  @Test
  void whoRestsIsNotActive() {
    clients.progressed("blog", "[]", AT_5);
    clients.progressed("shop", "[]", AT_5);
    assertThat(clients.countActive()).isEqualTo(2);

    clients.failed("blog", new IOException("no answer"), "jdbc://blog?");

    assertThat(clients.countActive()).isEqualTo(1);
  }

  @Test
  void aClientWhosePumpRunsNeedNotBeWoken() {
    clients.progressed("blog", "[]", AT_5);
    assertThat(clients.isOneToBeWoken()).isTrue();

    clients.begins("blog");
    assertThat(clients.isOneToBeWoken()).isFalse();

    clients.ends("blog");
    assertThat(clients.isOneToBeWoken()).isTrue();
  }

  @Test
  void aClientThatMovedWithoutThisHubIsServedByAnother() {
    clients.progressed("blog", "[]", AT_5);

    assertThat(isServedByAnother(6, true)).isTrue();
    assertThat(isResting()).isTrue();
  }

  @Test
  void aClientThatMovedLongAgoIsNot() {
    clients.progressed("blog", "[]", AT_5);

    assertThat(isServedByAnother(6, false)).isFalse();
    assertThat(isResting()).isFalse();
  }

  @Test
  void aClientThatMovedWithAPageWhoseAnswerWasLostIsNot() {
    clients.progressed("blog", "[]", AT_5);
    clients.failed("blog", new IOException("no answer"), "jdbc://blog?");

    assertThat(isServedByAnother(6, true)).isFalse();
  }

  @Test
  void aHubThatHasJustStartedTakesAClientUp() {
    assertThat(isServedByAnother(6, true)).isFalse();
  }

  private boolean isServedByAnother(long step, boolean recent) {
    return clients.isServedByAnother("blog", step, recent);
  }

  private boolean isResting() {
    return clients.isResting("blog");
  }
}
