package io.caravan.reconcile;

/**
 * This hub does not go on with a run: it has come to an end, it rests, or it is another hub's now.
 * Central has noted which.
 */
final class Ended extends Exception {
  private static final long serialVersionUID = 1;

  Ended(String why) {
    super(why, null, false, false);
  }
}
