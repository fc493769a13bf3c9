package io.caravan.reconcile;

import io.caravan.Fault;
import io.caravan.client.Source;
import java.sql.SQLException;
import java.util.List;
import java.util.function.Consumer;

/**
 * One side of a comparison of a client's target with its source: central or the client. It only
 * answers; the run decides what follows from the answers. Keys are JSON texts as they are in the
 * change log, for instance {@code [42]}.
 */
public interface Side {
  /**
   * The digest of a part of the table.
   *
   * @param from the block at which the part begins
   */
  DigestPart digest(Comparison comparison, Scope scope, long from) throws SQLException, Fault;

  /**
   * Lists the rows of a part of the table.
   *
   * @param from the block at which the part begins
   * @param each takes each row
   */
  Block list(Comparison comparison, Scope scope, long from, Consumer<Listed> each)
      throws SQLException, Fault;

  /** Central. */
  interface OfCentral extends Side {
    /**
     * Which columns central can't compute.
     *
     * @throws SQLException if it can't compute the filter
     */
    List<Uncomputed> prepare(Comparison comparison) throws SQLException, Fault;

    /** The rows with these keys, in one snapshot. */
    CentralRows check(Comparison comparison, Scope scope, List<String> keys)
        throws SQLException, Fault;
  }

  /** A client. */
  interface OfClient extends Side {
    /**
     * What the client has to say of a target.
     *
     * @param number of the target in the mapping, from 0
     * @param source as central describes it
     */
    Survey survey(int number, Source source) throws SQLException, Fault;

    /** The rows with these keys, and where the client stands, in one snapshot. */
    ClientRows check(Comparison comparison, Scope scope, List<String> keys)
        throws SQLException, Fault;

    /**
     * The next keys that are noted as central's and have no row.
     *
     * @param after the noted key after which to look; empty: from the beginning
     */
    Notes orphans(Comparison comparison, String after) throws SQLException, Fault;

    /**
     * The next keys that are noted as central's.
     *
     * @param number of the target in the mapping, from 0
     * @param after the key after which to begin; empty: from the beginning
     */
    Notes notes(int number, String after) throws SQLException;
  }
}
