package io.caravan;

import static org.awaitility.Awaitility.await;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;

/** A PgBouncer in transaction mode before a local server, on which nobody needs a password. */
public final class PgBouncer implements AutoCloseable {
  private static final Path BINARY = Path.of("/usr/sbin/pgbouncer");

  private final int port = freePort();
  private final Process process;

  public PgBouncer(int server) throws IOException {
    this(server, 20);
  }

  /** The same, with so many sessions of each database. */
  public PgBouncer(int server, int sessions) throws IOException {
    Path home = Files.createTempDirectory("pgbouncer");
    Files.setPosixFilePermissions(home, PosixFilePermissions.fromString("rwxr-xr-x"));
    Path settings = home.resolve("pgbouncer.ini");
    Files.writeString(
        settings,
        """
        [databases]
        * = host=localhost port=%d user=postgres
        [pgbouncer]
        listen_addr = 127.0.0.1
        listen_port = %d
        unix_socket_dir =
        auth_type = any
        pool_mode = transaction
        default_pool_size = %d
        ignore_startup_parameters = extra_float_digits
        """
            .formatted(server, port, sessions));
    process =
        new ProcessBuilder(command(settings.toString()))
            .redirectErrorStream(true)
            .redirectOutput(home.resolve("pgbouncer.log").toFile())
            .start();
    await().until(this::answers);
  }

  public static boolean isInstalled() {
    return Files.isExecutable(BINARY);
  }

  public int port() {
    return port;
  }

  @Override
  public void close() {
    process.destroyForcibly().onExit().join();
  }

  /** It does not run as root. */
  private static List<String> command(String settings) {
    return System.getProperty("user.name").equals("root")
        ? List.of(BINARY.toString(), "-u", "nobody", settings)
        : List.of(BINARY.toString(), settings);
  }

  private boolean answers() {
    try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
      return socket.isConnected();
    } catch (IOException e) {
      return false;
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0)) {
      return socket.getLocalPort();
    }
  }
}
