package io.caravan;

import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Drops the databases of a test class when it has ended: PostgreSQL would go on to look after some
 * hundreds of them. JUnit finds it by itself.
 */
public final class DropsDatabases implements AfterAllCallback {
  @Override
  public void afterAll(ExtensionContext context) {
    boolean isNested = context.getParent().flatMap(ExtensionContext::getTestClass).isPresent();
    if (!isNested) {
      Postgres.dropShared();
    }
  }
}
