package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.sql.SQLException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What a client's database answers. It may belong to somebody else, and nothing that it says
 * decides what it gets or reaches another client: it only keeps how far the client has come.
 */
public final class Replies {
  private Sources sources = new Sources();
  private Contract contract = new Contract();

  /** Knows the columns of the sources. */
  public void setSources(Sources sources) {
    this.sources = sources;
  }

  /** Knows which columns the contract of a source needs. */
  public void setContract(Contract contract) {
    this.contract = contract;
  }

  /**
   * A client's cursor, checked.
   *
   * @param cursor as the client has kept it; null where it has none yet
   * @param mapped the sources of its mapping
   * @throws Fault if it is none
   */
  public String cursor(String cursor, Set<String> mapped) throws Fault {
    return cursor == null ? null : KnownCursor.checked(cursor, mapped);
  }

  /**
   * The sources of a mapping, each with the columns that the mapping and the contract use, unless
   * these are all.
   *
   * @param mapped the sources with their fingerprints, as JSON
   * @param mapping as JSON
   * @return the same, as {@code caravan.read} takes it
   * @throws CentralFailure if central can't be asked for the columns
   */
  public String sources(String mapped, String mapping) throws Fault, CentralFailure {
    UsedColumns uses = UsedColumns.of(mapping);
    try {
      JsonNode all = Json.read(mapped);
      for (JsonNode source : all) {
        String name = source.path("source").asText();
        List<String> columns = sources.columns(name);
        Set<String> used = new LinkedHashSet<>(uses.uses(name, columns));
        used.addAll(contract.uses(name, columns));
        if (!used.containsAll(columns)) {
          columns.stream()
              .filter(used::contains)
              .forEach(((ObjectNode) source).withArray("columns")::add);
        }
      }
      return all.toString();
    } catch (SQLException e) {
      throw new CentralFailure(e);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e);
    }
  }
}
