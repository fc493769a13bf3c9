package io.caravan.demo;

import io.caravan.Postgres;

/** Shows Caravan at work on an embedded PostgreSQL. */
public final class Demo {
  private Demo() {}

  /**
   * Runs the demo.
   *
   * @param args none
   */
  public static void main(String[] args) {
    // Closed here and not at exit: Maven, which runs the demo in its own JVM, takes the classes
    // away before.
    try (Postgres server = Postgres.shared()) {
      System.out.println(server.createDatabase("central").url());
    }
  }
}
