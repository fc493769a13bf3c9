package io.caravan.bench;

import io.caravan.HubProcess;
import java.util.List;

/** What a write in central costs, by what is installed there and who listens. */
final class Overhead implements Section {
  private static final int MANY = 8;
  private static final int CLIENTS = 3;

  @Override
  public void run(Stage stage, Options options, Report report) {
    List<Contender> contenders =
        List.of(
            new Bare(stage),
            new ArticleScript(stage, 0),
            new CaravanHub(stage, 0),
            new CaravanHub(stage, CLIENTS).start(),
            new NativeReplication(stage, CLIENTS));
    Turns.warmUp(contenders, stage.rows());
    Measurement measurement = new Measurement(stage, options, report);
    Turns.take(options.turns(), contenders, measurement::measure);
    measurement.print();
    contenders.forEach(Contender::close);
  }

  /** The tables, and what fills them. */
  private static final class Measurement {
    private final Stage stage;
    private final Options options;
    private final Report.Case one;
    private final Report.Case many;
    private final Report.Case apart;
    private final Report.Case bulk;

    Measurement(Stage stage, Options options, Report report) {
      this.stage = stage;
      this.options = options;
      String section = "overhead";
      one = report.begin(section, "updates of a row by 1 writer", "bare");
      many = report.begin(section, "updates of a row by 8 writers", "bare");
      apart =
          report.begin(
              section,
              "updates by 8 writers, hub and clients' server on a core of their own",
              "bare");
      bulk = report.begin(section, "an update of all rows in one statement", "bare");
    }

    void measure(Contender contender) {
      String name = contender.name();
      Writers.Pace pace = pace(contender, 1, Writers.TRACKED);
      one.add(name, "ms, tracked column", pace.millis());
      one.add(name, "updates/s, tracked column", pace.perSecond());
      one.add(name, "µs that its session works for an update", pace.microsAtWork());
      one.add(name, "µs that its session waits for a core", pace.microsWaiting());
      one.add(name, "ms, another column", pace(contender, 1, Writers.UNTRACKED).millis());
      many.add(
          name, "updates/s, another column", pace(contender, MANY, Writers.UNTRACKED).perSecond());
      measureManyWriters(contender);
      if (Processes.canPin()) {
        pin(contender, "0", "1");
        apart.add(
            name, "updates/s, tracked column", pace(contender, MANY, Writers.TRACKED).perSecond());
        pin(contender, Processes.allCores(), Processes.allCores());
      }
      long start = System.nanoTime();
      contender.central().execute("update users set name = '%d' where id > 0".formatted(start));
      bulk.add(name, "s, tracked column", (System.nanoTime() - start) / 1e9);
      Waiting.untilInStep(contender);
      contender.central().execute("vacuum users");
    }

    void print() {
      List.of(one, many, apart, bulk).forEach(Report.Case::print);
    }

    private Writers.Pace pace(Contender contender, int count, String sql) {
      try (Writers writers = new Writers(contender.central(), count, stage.rows(), sql)) {
        return writers.writeFor(options.time());
      } finally {
        Waiting.untilInStep(contender);
      }
    }

    /** Together with the processor time that each side took until the clients had everything. */
    private void measureManyWriters(Contender contender) {
      String name = contender.name();
      double central = Processes.cpuSeconds(stage.centralServer().pid());
      double clients = Processes.cpuSeconds(stage.clientServer().pid());
      double hub =
          Turns.hubOf(contender).map(HubProcess::pid).map(Processes::cpuSeconds).orElse(0.0);
      double perSecond = pace(contender, MANY, Writers.TRACKED).perSecond();
      double millisOfOne = 1e3 / (perSecond * options.time().toMillis() / 1e3);
      many.add(name, "updates/s, tracked column", perSecond);
      many.add(
          name,
          "central's processor time, ms an update",
          (Processes.cpuSeconds(stage.centralServer().pid()) - central) * millisOfOne);
      if (!contender.clients().isEmpty()) {
        many.add(
            name,
            "the clients' server's, ms an update",
            (Processes.cpuSeconds(stage.clientServer().pid()) - clients) * millisOfOne);
      }
      Turns.hubOf(contender)
          .ifPresent(
              process ->
                  many.add(
                      name,
                      "the hub's, ms an update",
                      (Processes.cpuSeconds(process.pid()) - hub) * millisOfOne));
    }

    private void pin(Contender contender, String centralCores, String otherCores) {
      Processes.pin(ProcessHandle.current().pid(), centralCores);
      Processes.pin(stage.centralServer().pid(), centralCores);
      Processes.pin(stage.clientServer().pid(), otherCores);
      Turns.hubOf(contender).ifPresent(hub -> Processes.pin(hub.pid(), otherCores));
    }
  }
}
