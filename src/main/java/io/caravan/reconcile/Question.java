package io.caravan.reconcile;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.util.RawValue;
import java.util.List;

/** A question as the function {@code caravan.answer} of both sides takes it: JSON. */
final class Question {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final ObjectNode json = JSON.createObjectNode();

  private Question(String ask, int number) {
    json.put("ask", ask);
    json.put("number", number);
  }

  static Question about(String ask, int number) {
    return new Question(ask, number);
  }

  static Question of(String ask, Comparison comparison) {
    Question question = new Question(ask, comparison.number());
    ObjectNode spec = question.json.putObject("spec");
    spec.put("rows", comparison.rows());
    spec.put("relation", comparison.relation());
    comparison.sourceKey().forEach(spec.putArray("source_key")::add);
    comparison.types().forEach(spec.putObject("types")::put);
    comparison.known().forEach(spec.putArray("known")::add);
    comparison.key().forEach(column -> add(spec.withArray("key"), column));
    spec.putArray("columns");
    comparison.columns().forEach(column -> add(spec.withArray("columns"), column));
    return question;
  }

  private static void add(ArrayNode columns, Column column) {
    columns
        .addObject()
        .put("name", column.name())
        .put("type", column.type())
        .put("modifier", column.modifier())
        .put("is_text", column.isText());
  }

  Question in(Scope scope) {
    json.put("seed", scope.seed());
    json.put("bits", scope.bits());
    json.put("more", scope.more());
    scope.within().forEach(json.putArray("within")::add);
    keys("omit", scope.omit());
    return this;
  }

  /** What only a client is asked. */
  Question ofNotes(Scope scope) {
    if (scope.owned()) {
      json.put("owned", true);
    }
    if (scope.counts()) {
      json.put("counts", true);
    }
    return this;
  }

  Question from(String side, long block) {
    json.putObject("from").put(side, block);
    return this;
  }

  Question keys(List<String> keys) {
    return keys("keys", keys);
  }

  private Question keys(String name, List<String> keys) {
    ArrayNode list = json.putArray(name);
    keys.forEach(key -> list.addRawValue(new RawValue(key)));
    return this;
  }

  Question after(String key) {
    if (!key.isEmpty()) {
      json.putRawValue("after", new RawValue(key));
    }
    return this;
  }

  Question with(String name, Object value) {
    json.set(name, JSON.valueToTree(value));
    return this;
  }

  @Override
  public String toString() {
    return json.toString();
  }
}
