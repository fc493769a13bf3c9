package io.caravan;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.caravan.client.Cursor;
import io.caravan.client.Source;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
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
    return cursor == null ? null : Cursor.checked(cursor, mapped).json();
  }

  /**
   * The sources of a mapping as a page for it describes them, with the columns that the mapping and
   * the contract use; without those that central does not track.
   *
   * @param mapping as JSON
   * @throws CentralFailure if central can't be asked
   */
  public Map<String, Source> described(String mapping) throws Fault, CentralFailure {
    UsedColumns uses = UsedColumns.of(mapping);
    Map<String, Source> described = new HashMap<>();
    try {
      for (String name : uses.sources()) {
        Optional<Source> source = sources.described(name);
        if (source.isPresent()) {
          Set<String> columns = source.get().columns().keySet();
          Set<String> used = new HashSet<>(uses.uses(name, columns));
          used.addAll(contract.uses(name, columns));
          described.put(name, source.get().with(used));
        }
      }
      return described;
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }

  /**
   * The sources of a mapping, each with the columns that are wanted of it, unless these are all.
   *
   * @param mapped the sources with their fingerprints, as JSON
   * @param described the sources with the wanted columns
   * @return the same, as {@code caravan.read} takes it
   * @throws CentralFailure if central can't be asked
   */
  public String wanted(String mapped, Map<String, Source> described) throws CentralFailure {
    try {
      JsonNode all = Json.read(mapped);
      for (JsonNode source : all) {
        String name = source.path("source").asText();
        Source wanted = described.get(name);
        if (wanted != null && !sources.described(name).equals(Optional.of(wanted))) {
          wanted.columns().keySet().forEach(((ObjectNode) source).withArray("columns")::add);
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
