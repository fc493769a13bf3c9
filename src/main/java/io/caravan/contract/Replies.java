package io.caravan.contract;

import io.caravan.CentralFailure;
import io.caravan.Fault;
import io.caravan.client.Cursor;
import io.caravan.client.Source;
import io.caravan.client.Wanted;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
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
  public Cursor cursor(String cursor, Set<String> mapped) throws Fault {
    return cursor == null ? null : Cursor.checked(cursor, mapped);
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
   * @param mapped the sources with their fingerprints
   * @param described the sources with the wanted columns
   * @throws CentralFailure if central can't be asked
   */
  public List<Wanted> wanted(List<Wanted> mapped, Map<String, Source> described)
      throws CentralFailure {
    try {
      List<Wanted> all = new ArrayList<>();
      for (Wanted source : mapped) {
        Source wanted = described.get(source.source());
        boolean isWhole =
            wanted == null || sources.described(source.source()).equals(Optional.of(wanted));
        all.add(isWhole ? source : source.with(List.copyOf(wanted.columns().keySet())));
      }
      return all;
    } catch (SQLException e) {
      throw new CentralFailure(e);
    }
  }
}
