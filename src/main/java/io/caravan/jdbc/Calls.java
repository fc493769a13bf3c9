package io.caravan.jdbc;

import java.lang.reflect.InvocationHandler;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;

/** What is done for the calls of an interface's methods. */
@FunctionalInterface
public interface Calls {
  /** The answer to a call. */
  Object answer(Method method, Object[] arguments) throws Exception;

  /** An instance of an interface that passes on each call. */
  static <T> T on(Class<T> type, Calls calls) {
    InvocationHandler handler =
        (proxy, method, arguments) -> {
          try {
            return calls.answer(method, arguments);
          } catch (InvocationTargetException e) {
            throw e.getCause();
          }
        };
    return type.cast(
        Proxy.newProxyInstance(Calls.class.getClassLoader(), new Class<?>[] {type}, handler));
  }
}
