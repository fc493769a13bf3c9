package io.caravan.reconcile;

import io.caravan.Fault;
import io.caravan.client.Mapping;
import io.caravan.client.Target;
import io.caravan.reconcile.Ledger.Basis;
import io.caravan.reconcile.Ledger.Checked;
import io.caravan.reconcile.Ledger.Findings;
import io.caravan.reconcile.Ledger.SinceCheck;
import io.caravan.reconcile.Ledger.Suspects;
import io.caravan.reconcile.Ledger.Tally;
import java.math.BigDecimal;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Compares one table of a client with its source in central, and has what differs repaired. {@link
 * #work} reads from top to bottom.
 *
 * <p>Nothing stands still meanwhile. A row counts as different only if both sides were checked and
 * the log has no change of its key that one of the two has not seen: central's row by the snapshot
 * of its reading, the client's by its cursor. Then the client should have had that very row.
 *
 * <p>A repair puts the key into the change log once more: the client's pump reads it anew, in its
 * own order, and applies it as any change. So a repair can't overwrite anything newer.
 *
 * <p>After each part of a table, and whenever something has become known, a checkpoint is kept in
 * central: from there another hub can go on.
 */
final class Reconciliation {
  private static final int ROWS_OF_A_BUCKET = 64;
  private static final int LEAST_DEPTH = 4;
  private static final int FIRST_DEPTH = 14;
  private static final int MOST_DEPTH = 40;
  private static final int BUCKET_BITS = 15;
  private static final int MOST_BUCKETS = 1 << BUCKET_BITS;
  private static final int MOST_MORE = 4;
  private static final int ROWS_OF_A_PASS = 250_000;
  private static final int FEWEST_TO_ASK_FOR = 1_000;
  private static final double CAUTION = 0.75;

  private final Run run;
  private final Ledger ledger;
  private final Mapping mapping;
  private final BothSides sides;
  private final Settings settings;
  private final Pace pace;
  private Checkpoint at;

  /** A run, from where it is. */
  Reconciliation(Runs.Work work, Mapping mapping, BothSides sides, Pace pace, Settings settings) {
    this.run = work.run();
    this.ledger = work.ledger();
    this.at = work.checkpoint();
    this.mapping = mapping;
    this.sides = sides;
    this.pace = pace;
    this.settings = settings;
  }

  /**
   * Does all that is left to do.
   *
   * @throws Ended sooner, as central has noted
   */
  void work() throws SQLException, Fault, Ended {
    if (is(Phase.SURVEY)) {
      survey();
    }
    if (is(Phase.DIGEST)) {
      digestAll();
    }
    do {
      if (is(Phase.DIGEST_REPLICATED)) {
        digestReplicated();
      }
      while (is(Phase.NARROW)) {
        narrowDown();
      }
      if (is(Phase.LIST)) {
        list();
      }
    } while (is(Phase.DIGEST_REPLICATED)); // if the notes of the client turn out to be wrong
    if (is(Phase.FIND_ORPHANS)) {
      findOrphans();
    }
    if (is(Phase.DECIDE)) {
      decide();
    }
    prove();
  }

  private boolean is(Phase phase) {
    return at.phase() == phase;
  }

  private void survey() throws SQLException, Fault, Ended {
    Basis basis = ledger.basis();
    int number = number();
    if (!basis.unfit().isEmpty()) {
      throw stopped(basis.unfit());
    } else if (isMixed() && !run.isOfDoubt()) {
      throw stopped("its rows can't be told from those of other targets");
    }
    Survey survey = sides.client().survey(number, basis.source());
    if (!ledger.isComparable(survey.cursor(), run.source())) {
      throw stopped("the client is not loaded yet");
    }
    Comparison comparison =
        new Comparison(
            number,
            "rows_" + basis.id(),
            basis.relation(),
            basis.source().key(),
            basis.source().columns(),
            survey.known(),
            survey.key(),
            survey.columns());
    if (isMixed()) {
      at = at.comparing(comparison);
      letGoOfNotes();
    }
    comparison = withoutUnknownTypes(comparison);
    at =
        at.comparing(withoutUncomputed(comparison))
            .knowing(
                new Checkpoint.Known(
                    basis.refused().size(), 0, DigestPart.UNKNOWN, SeededDigest.NONE));
    if (isOfOneKey()) {
      ledger.suspect(List.of(run.key()), List.of());
    }
    at = at.at(isOfOneKey() ? Phase.DECIDE : Phase.DIGEST, allRows(basis));
    ledger.keep(at);
  }

  /**
   * Where rows can't be told from those of other targets of the same source, the notes of all of
   * them still tell which keys are gone from central. The pump then looks at each for all targets.
   *
   * @throws Ended always
   */
  private void letGoOfNotes() throws SQLException, Fault, Ended {
    long noted = 0;
    for (int number = 0; number < mapping.targets().size(); number++) {
      Target target = mapping.targets().get(number);
      if (target.source().equals(run.source()) && target.table().equals(run.target())) {
        String after = "";
        do {
          Notes notes = sides.client().notes(number, after);
          ledger.suspectGone(notes.keys());
          noted += notes.keys().size();
          after = notes.after();
        } while (!after.isEmpty());
      }
    }
    at = at.knowing(new Checkpoint.Known(0, noted, noted, SeededDigest.NONE));
    Tally tally = ledger.tally();
    keepFindings(tally);
    if (isTooMuch(tally.differing())) {
      throw waiting(true);
    } else if (tally.differing() > 0) {
      ledger.repair(at);
    }
    ledger.finish(
        true,
        tally.differing(),
        0,
        List.of("its rows can't be told from those of other targets: only what is gone was found"));
    throw new Ended("only notes were compared");
  }

  private boolean isOfOneKey() {
    return !run.key().isEmpty();
  }

  private int number() throws SQLException, Ended {
    List<Target> targets = mapping.targets();
    for (int number = 0; number < targets.size(); number++) {
      if (targets.get(number).source().equals(run.source())
          && targets.get(number).table().equals(run.target())) {
        return number;
      }
    }
    throw stopped("it is not mapped");
  }

  /** Whether the table gets rows from other targets, too, and they can't be told apart. */
  private boolean isMixed() {
    List<Target> targets =
        mapping.targets().stream().filter(each -> each.table().equals(run.target())).toList();
    return targets.size() > 1
        && (targets.stream().anyMatch(Target::isCentrals)
            || targets.stream().filter(each -> each.source().equals(run.source())).count() > 1);
  }

  private Comparison withoutUnknownTypes(Comparison comparison) throws SQLException, Ended {
    Set<String> unknown =
        ledger.unknownTypes(
            comparison.columns().stream()
                .filter(column -> !column.isText())
                .map(Column::type)
                .distinct()
                .toList());
    List<Column> left =
        comparison.columns().stream()
            .filter(column -> !column.isText() && unknown.contains(column.type()))
            .toList();
    ledger.note(
        left.stream()
            .map(
                column ->
                    "column %s was not compared: central has no type %s"
                        .formatted(column.name(), column.type()))
            .toList());
    return comparison.without(left.stream().map(Column::name).collect(Collectors.toSet()));
  }

  private Comparison withoutUncomputed(Comparison comparison) throws SQLException, Fault, Ended {
    List<Uncomputed> uncomputed = sides.central().prepare(comparison);
    ledger.note(
        uncomputed.stream()
            .map(each -> "column %s was not compared: %s".formatted(each.column(), each.why()))
            .toList());
    return comparison.without(
        uncomputed.stream().map(Uncomputed::column).collect(Collectors.toSet()));
  }

  /**
   * Other hashes each time, so that nothing stays hidden behind equal ones; but those of the digest
   * of the client's local rows, if there is one of about as many buckets.
   */
  private Scope allRows(Basis basis) {
    double buckets = Math.max(basis.rows() / ROWS_OF_A_BUCKET, 1);
    int depth = Math.min(Math.max(bitsFor(buckets), LEAST_DEPTH), FIRST_DEPTH);
    boolean isLocalKnown =
        basis.local().isKnown() && Math.abs(basis.local().depth() - depth) <= LEAST_DEPTH / 2;
    return new Scope(
        isLocalKnown ? basis.local().seed() : run.id(),
        0,
        List.of(0L),
        isLocalKnown ? basis.local().depth() : depth,
        false,
        !run.isToVerify(),
        basis.refused());
  }

  private void digestAll() throws SQLException, Fault, Ended {
    digest();
    Digest client = at.client().digest();
    SeededDigest local = ledger.local();
    at =
        at.knowing(
            new Checkpoint.Known(
                at.known().refused(),
                at.central().digest().rows(),
                at.client().noted(),
                new SeededDigest(at.scope().seed(), client)));
    if (local.seed() == at.scope().seed()
        && local.depth() == at.scope().depth()
        && local.isKnown()) {
      client = client.minus(local.digest());
    }
    goOn(client);
  }

  private void digestReplicated() throws SQLException, Fault, Ended {
    digest();
    Digest client = at.client().digest();
    if (at.known().held().seed() == at.scope().seed()) {
      Digest local = at.known().held().digest().minus(at.scope().inOrder(client));
      ledger.keepLocal(new SeededDigest(at.scope().seed(), local));
    }
    goOn(client);
  }

  private void narrowDown() throws SQLException, Fault, Ended {
    digest();
    goOn(at.client().digest());
  }

  /** Has both sides digest the rows in the scope, part by part. */
  private void digest() throws SQLException, Fault, Ended {
    while (!at.isDigested()) {
      BothSides.Both<Sum, Sum> answers =
          sides.ask(
              central -> furtherDigested(central, at.central()),
              client -> furtherDigested(client, at.client()));
      at = at.answered(answers.central(), answers.client());
      if (!at.isDigested()) {
        ledger.keep(at);
        if (ledger.isAwaited()) {
          pace.hurry();
        }
        settings.progress().accept(ledger.progress());
      }
    }
  }

  private Sum furtherDigested(Side side, Sum sum) throws SQLException, Fault {
    if (sum.isComplete()) {
      return sum;
    }
    long start = System.nanoTime();
    Sum further = sum;
    do {
      long next = further.block().next();
      Scope scope = next == 0 ? at.scope() : at.scope().uncounted();
      further = further.plus(side.digest(at.comparison(), scope, next));
    } while (!further.isComplete() && !pace.isPartOver(start));
    return further;
  }

  /** Decides how to look into the buckets that differ. */
  private void goOn(Digest client) throws SQLException, Ended {
    Digest central = at.central().digest();
    Scope scope = at.scope();
    List<Long> differing = scope.differing(central, client);
    int buckets = differing.size();
    long most = Math.max(Math.max(central.rows(), client.rows()), 1);
    double rowsOfABucket = (double) most / ((long) scope.within().size() << scope.more());
    double rows = buckets * rowsOfABucket;
    boolean isMany = rows > settings.limits().listed();
    if (buckets == 0 && central.total() != client.total()) {
      // One in 2^32: the lower halves agree.
      at = at.at(Phase.NARROW, scope.reseeded());
    } else if (isMany && areLocalRowsInTheWay(buckets)) {
      at = at.at(Phase.DIGEST_REPLICATED, replicatedRows());
    } else if (scope.depth() < MOST_DEPTH
        && ((isMany && buckets <= MOST_BUCKETS / 2)
            || (rows > settings.limits().few() && buckets <= MOST_BUCKETS / 8))) {
      int more = Math.min(BUCKET_BITS - bitsFor(buckets), MOST_MORE);
      at = at.at(Phase.NARROW, scope.narrowed(differing, more));
    } else {
      int atOnce = (int) Math.max(settings.limits().few() / rowsOfABucket, 1);
      at = at.at(Phase.LIST, scope.of(differing)).listing(atOnce);
    }
    if (!is(Phase.LIST) || at.left() > 0) { // An empty list is quicker than a checkpoint.
      ledger.keep(at);
    }
  }

  /**
   * Whether the client's local rows are among those that differ: then it has to tell them apart.
   */
  private boolean areLocalRowsInTheWay(int buckets) {
    long local = at.known().held().digest().rows() - at.known().compared();
    return isShared() && !at.scope().replicated() && (local > buckets || at.scope().bits() != 0);
  }

  private Scope replicatedRows() {
    int depth = at.known().held().depth();
    double rows =
        Math.max(
            Math.max(at.known().compared(), at.known().held().digest().rows()), ROWS_OF_A_PASS);
    int passes = Math.min(bitsFor(rows / ROWS_OF_A_PASS), depth);
    return at.scope().replicatedOnly(passes, depth);
  }

  /**
   * Lists the rows of the buckets that differ, some at a time. The first ones are a sample, so that
   * a run of which a person is to be asked gets there soon.
   */
  private void list() throws SQLException, Fault, Ended {
    Limits limits = settings.limits();
    while (at.left() > 0) {
      int most = at.atOnce() * (at.listed() == 0 ? 1 : limits.listed() / limits.few());
      List<Long> all = at.scope().within();
      int end = (int) Math.min((long) at.listed() + most, all.size());
      Scope some = at.scope().of(all.subList(at.listed(), end));
      Differences differences = new Differences();
      sides.ask(
          central -> listed(central, some, differences::addOfCentral),
          client -> listed(client, some, differences::addOfClient));
      at = at.listedUpTo(end);
      ledger.suspect(differences.keys(), differences.keyTexts());
      check();
      ledger.keep(at);
    }
    if (areNotesRight()) {
      at = at.at(Phase.DECIDE);
      return;
    }
    at =
        at.scope().replicated()
            ? at.at(Phase.FIND_ORPHANS)
            : at.at(Phase.DIGEST_REPLICATED, replicatedRows());
    ledger.keep(at);
  }

  private Block listed(Side side, Scope scope, Consumer<Listed> each) throws SQLException, Fault {
    Block block = new Block(0, 0);
    while (block.next() != Block.END) {
      long next = block.next();
      block = side.list(at.comparison(), scope, next, each);
    }
    return block;
  }

  /**
   * Whether as many keys are noted at the client as there should be, by what was found: those of
   * central's rows, without the ones that were found not to be noted, and with those of surplus
   * rows.
   */
  private boolean areNotesRight() throws SQLException {
    Tally tally = ledger.tally();
    return at.known().noted() == DigestPart.UNKNOWN
        || at.known().noted()
            == at.known().compared() - tally.unnoted() + tally.surplus() + tally.orphaned();
  }

  private void findOrphans() throws SQLException, Fault, Ended {
    while (!areNotesRight()) {
      Notes orphans = sides.client().orphans(at.comparison(), at.after());
      ledger.suspectNoted(orphans.keys());
      check();
      at =
          orphans.after().isEmpty()
              ? at.knowing(at.known().notes(DigestPart.UNKNOWN))
              : at.checkingAfter(orphans.after());
      ledger.keep(at);
    }
    at = at.at(Phase.DECIDE);
    ledger.keep(at);
  }

  /** Checks the suspected keys on both sides, and again at those that are changing. */
  private void check() throws SQLException, Fault, Ended {
    for (Suspects suspects = next(); !suspects.keys().isEmpty(); suspects = next()) {
      at = at.omitting(suspects.refused());
      settings.pause().before(suspects.checks());
      List<String> keys = suspects.keys();
      BothSides.Both<CentralRows, ClientRows> rows =
          sides.ask(
              central -> central.check(at.comparison(), at.scope(), keys),
              client -> client.check(at.comparison(), at.scope(), keys));
      SinceCheck since = ledger.changedSinceCheck(keys, rows.central(), rows.client());
      if (!since.isComparable()) {
        throw stopped("the client is being loaded again");
      }
      long differing =
          ledger.keepVerdicts(
              keys.stream()
                  .map(key -> checked(key, rows.central(), rows.client(), since))
                  .toList());
      if (isTooMuch(differing)) {
        keepFindings(ledger.tally());
        throw waiting(at.left() == 0 && next().keys().isEmpty());
      }
    }
  }

  private Suspects next() throws SQLException {
    return ledger.keysToCheck(settings.limits());
  }

  private Checked checked(String key, CentralRows central, ClientRows client, SinceCheck since) {
    Optional<CentralRows.Row> here = Optional.ofNullable(central.rows().get(key));
    Optional<ClientRows.Row> there = Optional.ofNullable(client.rows().get(key));
    String spelled = here.map(CentralRows.Row::spelled).orElse("");
    OptionalLong hash =
        here.isPresent() && spelled.isEmpty()
            ? OptionalLong.of(here.get().hash())
            : OptionalLong.empty();
    boolean isReplicated = isShared() && there.isPresent() && there.get().isReplicated();
    Verdict verdict;
    if (since.changing().contains(key)) {
      verdict = Verdict.CHANGING;
    } else if (since.refused().contains(key)) {
      verdict = Verdict.SKIPPED;
    } else {
      verdict =
          Verdict.of(
              hash,
              there.map(ClientRows.Row::hash).orElse(OptionalLong.empty()),
              isShared(),
              isReplicated);
    }
    return new Checked(
        key,
        is(Phase.PROVE) ? verdict.afterRepair() : verdict,
        isReplicated,
        spelled,
        there.map(ClientRows.Row::keyText).orElse(""));
  }

  private boolean isShared() {
    return !mapping.targets().get(at.comparison().number()).isCentrals();
  }

  /**
   * The safety threshold: whether so many rows differ that a person is to be asked before they are
   * repaired.
   *
   * <p>After another history, what matters is how much the client would lose of what it has, if
   * that is at least so many rows. What central has says nothing about it.
   */
  private boolean isTooMuch(long differing) {
    double expected = differing;
    if (at.left() > 0) {
      // Cautiously, because the rows that were not listed yet may differ less.
      expected = CAUTION * differing * at.scope().within().size() / at.listed();
    }
    long rows = run.isOfDoubt() ? had(differing) : at.known().compared();
    return !run.isDry()
        && !run.isConfirmed()
        && (run.isOfDoubt() ? rows : expected) >= FEWEST_TO_ASK_FOR
        && expected > Math.max(rows, 1) * settings.safetyThreshold().doubleValue() / 100;
  }

  /** How many of central's rows the client has, those that central has no more among them. */
  private long had(long differing) {
    if (!isShared()) {
      return at.known().held().digest().rows();
    }
    return at.known().noted() == DigestPart.UNKNOWN
        ? at.known().compared() + differing
        : at.known().noted();
  }

  /** All is compared: counts what differs, and has it repaired, unless that is too much. */
  private void decide() throws SQLException, Fault, Ended {
    if (isOfOneKey()) {
      check();
    }
    Tally tally = ledger.tally();
    keepFindings(tally);
    if (isTooMuch(tally.differing())) {
      throw waiting(true);
    } else if (run.isDry() || tally.differing() == 0) {
      ledger.finish(tally.differing() == 0 && tally.changing() == 0, 0, 0, List.of());
      throw new Ended("there is nothing to repair");
    }
    at = at.at(Phase.PROVE);
    ledger.repair(at);
  }

  private void keepFindings(Tally tally) throws SQLException, Ended {
    SeededDigest held = at.known().held();
    long local =
        held.isKnown()
            ? Math.max(
                held.digest().rows() - at.known().compared() + tally.missing() - tally.surplus(), 0)
            : tally.local();
    ledger.keepFindings(
        new Findings(
            at.known().compared(),
            tally.missing(),
            tally.stale(),
            tally.surplus() + tally.orphaned(),
            local,
            at.known().refused() + tally.changing() + tally.skipped(),
            tally.changing() == 0
                ? List.of()
                : List.of(tally.changing() + " rows changed all the time")),
        at.comparison());
  }

  /** Checks what was sent once more. */
  private void prove() throws SQLException, Fault, Ended {
    check();
    Tally tally = ledger.tally();
    long others = tally.all() - tally.repaired() - tally.skipped();
    ledger.finish(
        others == 0,
        tally.repaired(),
        tally.skipped(),
        Stream.of(
                said(tally.skipped(), "rows are refused by the client: dead letters"),
                said(others, "rows were sent once more and still differ"))
            .flatMap(Optional::stream)
            .toList());
  }

  private static Optional<String> said(long count, String what) {
    return count == 0 ? Optional.empty() : Optional.of(count + " " + what);
  }

  private Ended stopped(String why) throws SQLException, Ended {
    ledger.end("stopped", why);
    return new Ended(why);
  }

  private Ended waiting(boolean isOfAll) throws SQLException, Ended {
    String why =
        (isOfAll ? "" : "only some of the keys that may differ were checked; ")
            + "nothing is repaired without caravan.confirm(%d)".formatted(run.id());
    ledger.end("waiting", why);
    return new Ended(why);
  }

  /** How many bits tell so many things apart. */
  private static int bitsFor(double count) {
    int bits = 0;
    while (1L << bits < count) {
      bits++;
    }
    return bits;
  }

  /**
   * What a hub lets a run do.
   *
   * @param limits where it draws its lines
   * @param safetyThreshold above which share of differing rows a person is asked, in percent
   * @param pause what to do before a check
   * @param progress takes a line for the log; empty where there is nothing to say
   */
  record Settings(
      Limits limits, BigDecimal safetyThreshold, Pause pause, Consumer<String> progress) {}

  /** Waits before keys are checked once more. */
  interface Pause {
    /**
     * Waits.
     *
     * @param checks how often they were checked
     */
    void before(int checks) throws SQLException;
  }
}
