package io.caravan;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Property;

/** What is logged under a name, from now on until it is closed. */
public final class Log extends AbstractAppender implements AutoCloseable {
  private final List<String> lines = new CopyOnWriteArrayList<>();
  private final String name;

  /**
   * @param name of the logger and those below it; empty for all
   */
  public Log(String name) {
    super("test " + name, null, null, false, Property.EMPTY_ARRAY);
    this.name = name;
    start();
    root().addAppender(this);
  }

  /** Level and message of each event. */
  public List<String> lines() {
    return lines;
  }

  @Override
  public void append(LogEvent event) {
    if (event.getLoggerName().startsWith(name)) {
      lines.add(event.getLevel() + " " + event.getMessage().getFormattedMessage());
    }
  }

  @Override
  public void close() {
    root().removeAppender(this);
    stop();
  }

  private static Logger root() {
    return (Logger) LogManager.getRootLogger();
  }
}
