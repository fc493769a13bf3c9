package io.caravan.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.caravan.Postgres.Database;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/**
 * The article's way: a row trigger that notifies a JSON payload of the row, and a script that
 * listens and brings each notification to one client after another.
 */
final class ArticleScript implements Contender {
  private static final String TRIGGER =
      """
      create function notify_users() returns trigger language plpgsql as $$
      declare
        changed users := coalesce(new, old);
      begin
        perform pg_notify('users', json_build_object('op', tg_op, 'id', changed.id, 'name', changed.name,
          'email', changed.email)::text);
        return null;
      end
      $$;
      create trigger notify_users after insert or update or delete on users
      for each row execute function notify_users();
      """;
  private static final String UPSERT =
      """
      insert into users (id, name, email) values (?, ?, ?)
      on conflict (id) do update set name = excluded.name, email = excluded.email
      """;
  private static final int WAIT_MILLIS = 100;

  private final Database central;
  private final List<Database> clients;
  private final Map<Database, PreparedStatement> upserts = new LinkedHashMap<>();
  private final ObjectMapper json = new ObjectMapper();
  private Thread script = new Thread();
  private volatile boolean paused;
  private volatile boolean listening;

  /** With no clients nobody listens, and only the trigger is there. */
  ArticleScript(Stage stage, int clientCount) {
    central = stage.central("article");
    clients = stage.clients("article", clientCount);
    central.execute(TRIGGER);
  }

  @Override
  public String name() {
    return clients.isEmpty() ? "article's trigger" : "article";
  }

  @Override
  public Database central() {
    return central;
  }

  @Override
  public List<Database> clients() {
    return clients;
  }

  @Override
  public void resume() {
    if (!clients.isEmpty()) {
      paused = false;
      listening = false;
      script = new Thread(this::listen, "article");
      script.start();
      Waiting.until("the script listens", () -> listening || !script.isAlive());
    }
  }

  @Override
  public void pause() {
    paused = true;
    try {
      script.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void close() {
    pause();
  }

  private void listen() {
    try (Connection connection = central.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("listen users");
      listening = true;
      PGConnection notified = connection.unwrap(PGConnection.class);
      while (!paused) {
        for (PGNotification notification : notified.getNotifications(WAIT_MILLIS)) {
          JsonNode row = json.readTree(notification.getParameter());
          clients.forEach(client -> bring(row, client));
        }
      }
    } catch (SQLException | JsonProcessingException e) {
      throw new IllegalStateException(e);
    } finally {
      clients.forEach(this::disconnect);
    }
  }

  /** A client that can't be reached misses the row, as in the article. */
  private void bring(JsonNode row, Database client) {
    try {
      PreparedStatement upsert = upserts.get(client);
      if (upsert == null) {
        upsert = client.dataSource().getConnection().prepareStatement(UPSERT);
        upserts.put(client, upsert);
      }
      upsert.setLong(1, row.get("id").longValue());
      upsert.setString(2, row.get("name").textValue());
      upsert.setString(3, row.get("email").textValue());
      upsert.executeUpdate();
    } catch (SQLException e) {
      disconnect(client);
    }
  }

  private void disconnect(Database client) {
    PreparedStatement upsert = upserts.remove(client);
    if (upsert != null) {
      try {
        upsert.getConnection().close();
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }
  }
}
