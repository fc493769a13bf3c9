package io.caravan.client;

import static org.assertj.core.api.Assertions.assertThat;

import io.caravan.Fault;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class TargetNumberTest {

  @Test
  void isTheSameForEver() {
    assertThat(TargetNumber.of("blog", "public.users", "public.members", 1))
        .isEqualTo(-8247421455606750623L);
    assertThat(TargetNumber.of("café", "public.users", "\"Mitglieder €\"", 2))
        .isEqualTo(-4894857057151502505L);
  }

  @Test
  void tellsEntriesApartThatTakeOneSourceToOneTable() throws Fault {
    String entry =
        "{\"source\": \"public.users\", \"table\": \"public.members\", \"key\": {\"id\": \"id\"}, \"where\": \"id %s 0\"}";
    Mapping mapping =
        Mapping.parse("[%s, %s]".formatted(entry.formatted(">"), entry.formatted("<")));

    Map<Target, Long> numbers = TargetNumber.of("blog", mapping);

    assertThat(mapping.targets())
        .extracting(numbers::get)
        .isEqualTo(
            List.of(
                TargetNumber.of("blog", "public.users", "public.members", 1),
                TargetNumber.of("blog", "public.users", "public.members", 2)));
  }
}
