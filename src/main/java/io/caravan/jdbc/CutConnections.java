package io.caravan.jdbc;

import com.zaxxer.hikari.HikariDataSource;
import org.apache.camel.CamelContext;
import org.apache.camel.spi.OnCamelContextStopping;

/**
 * Cuts all connections when the hub stops, because Camel waits for the pumps, and one may hang in a
 * lock or have a million rows before it. What they have begun is rolled back, and comes again.
 */
public final class CutConnections implements OnCamelContextStopping {
  @Override
  public void onContextStopping(CamelContext context) {
    for (HikariDataSource pool : context.getRegistry().findByType(HikariDataSource.class)) {
      Thread cut = new Thread(pool::close, "caravan-cut");
      cut.setDaemon(true);
      cut.start();
    }
  }
}
