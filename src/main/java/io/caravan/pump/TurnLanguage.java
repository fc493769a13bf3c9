package io.caravan.pump;

import java.util.Map;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.apache.camel.Exchange;
import org.apache.camel.Expression;
import org.apache.camel.support.LanguageSupport;
import org.apache.camel.support.PredicateToExpressionAdapter;

/**
 * What the pump's routes ask the {@link Turn} in the variable {@code turn}: {@code language:
 * {language: turn, expression: hasMore}}. A route that asks for something else does not start.
 *
 * <p>Simple's {@code ${variable.turn.hasMore}} would do, but took a quarter of the processor time
 * of all pumps: it looks the method up for each page.
 */
public final class TurnLanguage extends LanguageSupport {
  private static final Map<String, Predicate<Turn>> QUESTIONS =
      Map.ofEntries(
          Map.entry("isLeftToAnother", Turn::isLeftToAnother),
          Map.entry("isUnsure", Turn::isUnsure),
          Map.entry("hasMore", Turn::hasMore),
          Map.entry("isToBegin", Turn::isToBegin),
          Map.entry("hasPage", Turn::hasPage),
          Map.entry("breaksContract", Turn::breaksContract),
          Map.entry("hasOversized", Turn::hasOversized),
          Map.entry("isOfInitialLoad", Turn::isOfInitialLoad),
          Map.entry("isOneStatement", Turn::isOneStatement),
          Map.entry("isNotApplied", Turn::isNotApplied),
          Map.entry("mayResolve", Turn::mayResolve));

  @Override
  public org.apache.camel.Predicate createPredicate(String question) {
    Predicate<Turn> answer = QUESTIONS.get(question);
    if (answer == null) {
      throw new IllegalArgumentException(
          "a turn is not asked \"%s\", but one of %s"
              .formatted(question, new TreeSet<>(QUESTIONS.keySet())));
    }
    return new Question(question, answer);
  }

  @Override
  public Expression createExpression(String question) {
    return PredicateToExpressionAdapter.toExpression(createPredicate(question));
  }

  private record Question(String name, Predicate<Turn> answer)
      implements org.apache.camel.Predicate {
    @Override
    public boolean matches(Exchange exchange) {
      return answer.test(exchange.getVariable("turn", Turn.class));
    }

    @Override
    public String toString() {
      return "turn." + name;
    }
  }
}
