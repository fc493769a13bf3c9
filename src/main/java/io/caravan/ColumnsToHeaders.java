package io.caravan;

import java.util.Map;
import org.apache.camel.Body;
import org.apache.camel.Headers;

/**
 * Copies the columns of a row that a query has returned into the message's headers, where the next
 * query finds its parameters.
 */
public final class ColumnsToHeaders {

  /**
   * Copies every column, and overwrites headers of the same name.
   *
   * @param row column name to value, as camel-jdbc returns it with {@code outputType=SelectOne}
   * @param headers the message's headers
   */
  public void copy(@Body Map<String, Object> row, @Headers Map<String, Object> headers) {
    headers.putAll(row);
  }
}
