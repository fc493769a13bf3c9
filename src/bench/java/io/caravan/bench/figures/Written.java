package io.caravan.bench.figures;

import java.math.BigDecimal;
import java.math.MathContext;
import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Locale;
import java.util.OptionalDouble;

/** Numbers as tables and plots have them: no more digits than a measurement is good for. */
final class Written {
  static final String MISSING = "–";

  private Written() {}

  /** A measured value: 0.26, 3.6, 24, 604 or 9,430. */
  static String value(double value) {
    double size = Math.abs(value);
    if (size >= 1000) {
      return String.format(
          Locale.ROOT, "%,d", new BigDecimal(value).round(new MathContext(3)).longValue());
    }
    return String.format(Locale.ROOT, size >= 10 ? "%.0f" : size >= 1 ? "%.1f" : "%.2f", value);
  }

  /** The same; a dash where nothing was measured. */
  static String value(OptionalDouble value) {
    return value.isPresent() ? value(value.getAsDouble()) : MISSING;
  }

  /** A round number, as axes have them: 0.1, 1, 50 or 10,000. */
  static String round(double value) {
    return new DecimalFormat("#,##0.###", DecimalFormatSymbols.getInstance(Locale.ROOT))
        .format(value);
  }

  /** A ratio: 0.43, 1.17 or 18.5. */
  static String ratio(OptionalDouble ratio) {
    return ratio.isPresent()
        ? String.format(
            Locale.ROOT, ratio.getAsDouble() >= 10 ? "%.1f" : "%.2f", ratio.getAsDouble())
        : MISSING;
  }
}
