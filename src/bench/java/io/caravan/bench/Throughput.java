package io.caravan.bench;

import java.util.List;

/** How long it takes until all clients have many changes. */
final class Throughput implements Section {
  // The article's script takes minutes for what the others have done in seconds.
  private static final int SHARE_OF_ARTICLE = 10;

  @Override
  public void run(Stage stage, Options options, Report report) {
    for (int clients : options.clients()) {
      List<Contender> contenders = Turns.contenders(stage, options, clients);
      Turns.warmUp(contenders, stage.rows());
      // Large pages take ways of their own through the hub, which are to be compiled, too.
      Turns.take(
          1, contenders, contender -> inOne(stage, contender, stage.rows() / shareOf(contender)));
      String to = " until all of %d clients have them".formatted(clients);
      int transactions = Math.min(options.transactions(), stage.rows());
      Report.Case single =
          begin(report, "%,d transactions of 1 writer".formatted(transactions) + to);
      Report.Case eight =
          begin(report, "%,d transactions of 8 writers".formatted(transactions) + to);
      Report.Case bulk = begin(report, "%,d rows in one transaction".formatted(stage.rows()) + to);
      Turns.take(
          options.turns(),
          contenders,
          contender -> {
            int share = shareOf(contender);
            add(single, contender, share, byWriters(stage, contender, 1, transactions / share));
            add(eight, contender, share, byWriters(stage, contender, 8, transactions / share));
            add(bulk, contender, share, inOne(stage, contender, stage.rows() / share));
            contender.central().execute("vacuum users");
          });
      List.of(single, eight, bulk).forEach(Report.Case::print);
      contenders.forEach(Contender::close);
    }
  }

  private static int shareOf(Contender contender) {
    return contender instanceof ArticleScript ? SHARE_OF_ARTICLE : 1;
  }

  private static Report.Case begin(Report report, String what) {
    return report.begin("throughput", what, "native");
  }

  private static Delivery byWriters(Stage stage, Contender contender, int count, int transactions) {
    try (Writers writers = new Writers(contender.central(), count, stage.rows(), Writers.TRACKED)) {
      return Delivery.of(
          stage, contender, 1, transactions, () -> writers.writeAll(1, transactions));
    }
  }

  private static Delivery inOne(Stage stage, Contender contender, int rows) {
    return Delivery.of(
        stage,
        contender,
        1,
        rows,
        () ->
            contender
                .central()
                .execute(
                    "update users set name = '%d' where id between 1 and %d"
                        .formatted(System.nanoTime(), rows)));
  }

  private static void add(Report.Case report, Contender contender, int share, Delivery delivery) {
    if (share == 1) {
      report.add(contender.name(), "s from the first commit in central", delivery.seconds());
      report.add(contender.name(), "s until the last one in central", delivery.secondsInCentral());
    }
    String name = contender.name() + (share == 1 ? "" : ", 1/" + share + " of it");
    report.add(name, "rows/s at each client", delivery.changes() / delivery.seconds());
  }
}
