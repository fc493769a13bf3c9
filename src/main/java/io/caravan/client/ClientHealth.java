package io.caravan.client;

import java.util.Map;
import org.apache.camel.health.HealthCheckResultBuilder;
import org.apache.camel.impl.health.AbstractHealthCheck;

/**
 * Tells how each client is. A client that is waiting, paused or not loaded does not make the hub
 * unhealthy: starting it again would not help.
 */
public final class ClientHealth extends AbstractHealthCheck {
  private Clients clients = new Clients();
  private ClientFiles files = new ClientFiles();

  /** No client is known yet. */
  public ClientHealth() {
    super("caravan", "caravan-clients");
  }

  /** The clients that run. */
  public void setClients(Clients clients) {
    this.clients = clients;
  }

  /** Knows the files that can't be loaded. */
  public void setFiles(ClientFiles files) {
    this.files = files;
  }

  @Override
  protected void doCall(HealthCheckResultBuilder builder, Map<String, Object> options) {
    builder.up();
    clients.statuses().forEach(builder::detail);
    files
        .broken()
        .forEach(
            (client, why) -> builder.detail(client, Map.of("state", "not loaded", "why", why)));
  }
}
