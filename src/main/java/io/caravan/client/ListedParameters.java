package io.caravan.client;

import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.Iterator;
import java.util.List;
import org.apache.camel.Exchange;
import org.apache.camel.component.jdbc.JdbcConstants;
import org.apache.camel.component.jdbc.JdbcPrepareStatementStrategy;

/**
 * Parameters of a {@code jdbc:} endpoint by their position, as a list in the header {@code
 * CamelJdbcParameters}. The statement is left as it is: camel-jdbc looks for named parameters in it
 * with a regular expression, and a mapping's expressions may have some in a text.
 */
public final class ListedParameters implements JdbcPrepareStatementStrategy {
  @Override
  public String prepareQuery(String query, boolean allowNamedParameters) {
    return query;
  }

  @Override
  public Iterator<?> createPopulateIterator(
      String query, String preparedQuery, int expectedParams, Exchange exchange, Object value) {
    return exchange.getMessage().getHeader(JdbcConstants.JDBC_PARAMETERS, List.class).iterator();
  }

  @Override
  public void populateStatement(PreparedStatement statement, Iterator<?> values, int expectedParams)
      throws SQLException {
    for (int i = 1; values.hasNext(); i++) {
      statement.setObject(i, values.next());
    }
  }
}
