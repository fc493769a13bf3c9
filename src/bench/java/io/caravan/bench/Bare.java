package io.caravan.bench;

import io.caravan.Postgres.Database;
import java.util.List;

/** PostgreSQL alone: what a write costs when nothing is propagated. */
final class Bare implements Contender {
  private final Database central;

  Bare(Stage stage) {
    central = stage.central("bare");
  }

  @Override
  public String name() {
    return "bare";
  }

  @Override
  public Database central() {
    return central;
  }

  @Override
  public List<Database> clients() {
    return List.of();
  }

  @Override
  public void resume() {
    // nothing to deliver
  }

  @Override
  public void pause() {
    // nothing to stop
  }

  @Override
  public void close() {
    // nothing to end
  }
}
