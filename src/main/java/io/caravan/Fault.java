package io.caravan;

/**
 * What Caravan itself finds wrong with a mapping or an answer. Its text is Caravan's own, and names
 * no row data.
 */
final class Fault extends Exception {
  static final String MAPPING = "CV006";
  static final String ANSWER = "CV007";

  private static final long serialVersionUID = 1;

  private final String sqlState;

  Fault(String sqlState, String message) {
    super(message);
    this.sqlState = sqlState;
  }

  /** A code as PostgreSQL has them. */
  String sqlState() {
    return sqlState;
  }
}
