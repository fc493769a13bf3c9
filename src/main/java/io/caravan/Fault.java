package io.caravan;

/**
 * What Caravan itself finds wrong with a mapping or an answer. Its text is Caravan's own, and names
 * no row data.
 *
 * <p>Relies on: {@code camel run} defines our classes in the order of their names, and one that
 * throws an exception of ours only after that. So only classes with later names throw it.
 */
public final class Fault extends Exception {
  /** A mapping that fits nothing, or not its client's tables. */
  public static final String MAPPING = "CV006";

  /** An answer of a client's database that can be none. */
  public static final String ANSWER = "CV007";

  /** Caravan's own tables in a client's database, which the hub may not make. */
  public static final String TABLES = "CV008";

  /** A central whose SQL is of another release. */
  public static final String VERSION = "CV009";

  private static final long serialVersionUID = 1;

  private final String sqlState;

  /**
   * Says what is wrong.
   *
   * @param sqlState one of the codes above
   * @param message what is wrong and what to do
   */
  public Fault(String sqlState, String message) {
    super(message);
    this.sqlState = sqlState;
  }

  /** A code as PostgreSQL has them. */
  public String sqlState() {
    return sqlState;
  }
}
