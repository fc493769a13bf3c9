package io.caravan;

import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.apache.camel.support.SimpleRegistry;

/**
 * Beans that some threads look for while another binds those of a client that is new. Camel's own
 * registry is a plain map, and whoever walks through it then fails.
 */
@SuppressWarnings("serial")
final class SharedRegistry extends SimpleRegistry {

  @Override
  public synchronized Object lookupByName(String name) {
    return super.lookupByName(name);
  }

  @Override
  public synchronized <T> T lookupByNameAndType(String name, Class<T> type) {
    return super.lookupByNameAndType(name, type);
  }

  @Override
  public synchronized <T> Map<String, T> findByTypeWithName(Class<T> type) {
    return super.findByTypeWithName(type);
  }

  @Override
  public synchronized <T> Set<T> findByType(Class<T> type) {
    return super.findByType(type);
  }

  @Override
  public synchronized void bind(String id, Class<?> type, Object bean) {
    super.bind(id, type, bean);
  }

  @Override
  public synchronized void bind(String id, Class<?> type, Supplier<Object> bean) {
    super.bind(id, type, bean);
  }

  @Override
  public synchronized void bindAsPrototype(String id, Class<?> type, Supplier<Object> bean) {
    super.bindAsPrototype(id, type, bean);
  }

  @Override
  public synchronized void unbind(String id) {
    super.unbind(id);
  }

  @Override
  public synchronized void close() throws IOException {
    super.close();
  }
}
