package io.caravan;

/** Central could not be read; the cause says why. It is not the fault of the client that asked. */
public final class CentralFailure extends Exception {
  private static final long serialVersionUID = 1;

  /** It failed for this cause. */
  public CentralFailure(Throwable cause) {
    super(cause.getMessage(), cause);
  }
}
