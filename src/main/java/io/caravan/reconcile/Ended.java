package io.caravan.reconcile;

/**
 * This hub stops working for a run: the run has ended or waits for a person, another hub works for
 * it now, or this hub itself stops.
 */
final class Ended extends Exception {
  private static final long serialVersionUID = 1;

  Ended(String why) {
    super(why, null, false, false);
  }
}
