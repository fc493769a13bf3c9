package io.caravan.listen;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.impossibl.postgres.api.jdbc.PGConnection;
import com.impossibl.postgres.api.jdbc.PGNotificationListener;
import io.caravan.Postgres;
import io.caravan.Postgres.Database;
import io.caravan.client.Clients;
import io.caravan.read.Look;
import java.lang.reflect.Proxy;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.junit.jupiter.api.Test;

class HealingConnectionTest {
  private final Database central = Postgres.shared().createCentral();
  private final List<String> events = new CopyOnWriteArrayList<>();

  @Test
  void whatIsHeardIsReadForBeforeTheClientsAreWoken() throws SQLException {
    HealingConnection listening =
        new HealingConnection(
            () -> central.dataSource().getConnection(), new Clients(), new Recorded());
    try {
      connection(listening).addNotificationListener("test", "caravan", new Woken());
      await().until(() -> events.contains(Listener.LISTEN_RING));
      events.clear();

      central.execute("notify caravan, 'new'");

      await().until(() -> events.contains("new"));
      assertThat(events).containsExactly("rung, to look: true", "new");
    } finally {
      listening.close();
    }
  }

  private static PGConnection connection(HealingConnection listening) {
    return (PGConnection)
        Proxy.newProxyInstance(
            PGConnection.class.getClassLoader(), new Class<?>[] {PGConnection.class}, listening);
  }

  private final class Woken implements PGNotificationListener {
    @Override
    public void notification(int processId, String channel, String payload) {
      events.add(payload);
    }
  }

  private final class Recorded implements Watch.Reading {
    @Override
    public void rung(boolean toLook) {
      events.add("rung, to look: " + toLook);
    }

    @Override
    public Look look() {
      return Look.unknown();
    }

    @Override
    public boolean isApplied() {
      return true;
    }
  }
}
