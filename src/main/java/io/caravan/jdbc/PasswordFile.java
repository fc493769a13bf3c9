package io.caravan.jdbc;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * A password in a file of its own, as Kubernetes and Docker hand out secrets. It is read for each
 * login: whoever rotates it needs to restart nothing.
 *
 * @param path of the file; a line break at its end is not part of the password
 */
public record PasswordFile(Path path) {

  /**
   * What is in the file now.
   *
   * @throws UncheckedIOException if it cannot be read; the message names it
   */
  public String read() {
    try {
      return Files.readString(path).stripTrailing();
    } catch (IOException e) {
      throw new UncheckedIOException(
          "The file %s with the password cannot be read".formatted(path), e);
    }
  }
}
