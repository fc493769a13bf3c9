package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.List;

/** PostgreSQL's logical replication: a publication in central, and a subscription per client. */
final class NativeReplication implements Contender.Returning {
  private final Database central;
  private final List<Database> clients;

  NativeReplication(Stage stage, int clientCount) {
    central = stage.central("native");
    clients = stage.clients("native", clientCount);
    central.execute("create publication users_of_central for table users (id, name, email)");
  }

  @Override
  public String name() {
    return "native";
  }

  @Override
  public Database central() {
    return central;
  }

  @Override
  public List<Database> clients() {
    return clients;
  }

  /** The clients equal central while it rests, so nothing need be copied. */
  @Override
  public void resume() {
    for (Database client : clients) {
      client.execute(
          "create subscription %s connection 'host=localhost port=%d dbname=%s user=postgres' publication users_of_central with (copy_data = false)"
              .formatted(client.name(), central.port(), central.name()));
    }
  }

  @Override
  public void pause() {
    for (Database client : clients) {
      client.execute("drop subscription " + client.name());
    }
  }

  @Override
  public void leave() {
    for (Database client : clients) {
      client.execute("alter subscription %s disable".formatted(client.name()));
    }
  }

  @Override
  public void comeBack() {
    for (Database client : clients) {
      client.execute("alter subscription %s enable".formatted(client.name()));
    }
  }

  @Override
  public void close() {
    // its subscriptions have gone with the pause
  }
}
