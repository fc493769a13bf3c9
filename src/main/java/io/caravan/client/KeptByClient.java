package io.caravan.client;

/** What keeps something of each client, until the client's file is gone or was changed. */
public interface KeptByClient {
  /**
   * A client is no more, or begins anew. Its routes have stopped.
   *
   * @param client its name
   */
  void forget(String client);
}
