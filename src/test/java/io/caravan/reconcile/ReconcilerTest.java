package io.caravan.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Log;
import java.sql.SQLException;
import java.text.ParseException;
import org.apache.camel.impl.DefaultCamelContext;
import org.junit.jupiter.api.Test;

/** What central is told of the clients that are to be compared with it. */
class ReconcilerTest {
  private static final String NIGHTLY = "0 0 3 * * ?";

  private final Reconciler reconciler = new Reconciler();

  @Test
  void theClientsShareTheTimeInWhichTheyAreCompared() throws ParseException {
    reconciler.setCamelContext(new DefaultCamelContext());
    reconciler.setPercent(1);
    reconciler.know("blog", "[]", NIGHTLY);
    assertThat(reconciler.percentOfEach()).isEqualByComparingTo("1");

    reconciler.know("shop", "[]", NIGHTLY);
    reconciler.know("forum", "[]", NIGHTLY);
    reconciler.know("wiki", "[]", NIGHTLY);

    assertThat(reconciler.percentOfEach()).isEqualByComparingTo("0.25");
  }

  @Test
  void aHubThatStopsBeginsNothingAndTellsNoFailure() throws Exception {
    try (DefaultCamelContext camel = new DefaultCamelContext();
        Log log = new Log("caravan.blog")) {
      reconciler.setCamelContext(camel);
      reconciler.know("blog", "[]", NIGHTLY);
      camel.start();
      camel.stop();

      reconciler.failed("blog", new SQLException("the pool has been closed"));

      assertThat(reconciler.claim()).isEmpty();
      assertThat(log.lines()).isEmpty();
    }
  }
}
