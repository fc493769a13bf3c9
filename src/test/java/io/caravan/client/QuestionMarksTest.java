package io.caravan.client;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Question marks in the expressions of mappings. */
class QuestionMarksTest {
  @ParameterizedTest
  @CsvSource(
      quoteCharacter = '`',
      textBlock =
          """
          tags ? 'a',                  tags ?? 'a'
          tags ?| array['?'],          tags ??| array['?']
          'it''s ?' || "what?",        'it''s ?' || "what?"
          E'\\'?' ? $$?$$,             E'\\'?' ?? $$?$$
          $a$ $$?$$ $a$ ? 1,           $a$ $$?$$ $a$ ?? 1
          x /* ? */ ? 1,               x /* ? */ ?? 1
          """)
  void areWrittenTwiceWhereTheyAreOperators(String expression, String written) {
    assertThat(QuestionMarks.escape(expression)).isEqualTo(written);
  }
}
