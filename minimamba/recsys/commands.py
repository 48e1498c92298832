"""What the recommender's commands do with their parsed arguments; each prints its answer."""

import sys

from minimamba.gpu import placement
from minimamba.recsys import demo as built_in_demo
from minimamba.recsys import plots, run, serve
from minimamba.recsys.config import Config, config_from, read_config, with_settings
from minimamba.recsys.data.dataset import open_dataset
from minimamba.recsys.progress import follow
from minimamba.recsys.tables import (
    answer_table,
    data_table,
    metric_table,
    result_table,
    runs_table,
    show,
)


def config_of(args):
    """Return the Config that a command line asks for: file, then column names, then --set."""
    config = read_config(args.config) if args.config else Config()
    asked = {name: getattr(args, name) for name in ("format", "user", "item", "time")}
    given = {name: value for name, value in asked.items() if value not in ("", "auto")}
    return with_settings(config_from({"data": given}, config), args.set)


def demo(args):
    """Train on the built-in log and compare with the best possible score."""
    built_in_demo.demo(args.out, args.seed, args.set)


def train(args):
    """Train, test, and print the result."""
    config, place = config_of(args), placement(args.device)
    data = open_dataset(args.data, config.data, args.titles)
    show(*data_table(data.about))
    follow(run.train(args.out, config, data, place), config.train.epochs, args.quiet)
    result = run.finish(args.out, config, data, place)
    show(result_table(result), f"stopped by {result['stopped']}; written to {args.out}")


def evaluate(args):
    """Print the metrics of a run's best weights."""
    place = placement(args.device)
    found = serve.evaluate_run(args.run, args.data, args.protocol, args.rows, place)
    show(metric_table(f"{args.run}, {args.rows} rows, by protocol", found))


def recommend(args):
    """Print the best items for a history, and what of the history moved their scores."""
    server = serve.open_server(args.run, placement(args.device))
    history = args.history.replace(",", " ").split()
    answer = serve.recommend(server, history, args.k, args.repeats)
    if answer.notice:
        print(f"minimamba: {answer.notice}", file=sys.stderr)
    show(answer_table(answer, server.titles))


def report(args):
    """Print a table of runs and draw the plots of each."""
    show(runs_table(args.runs))
    for folder in [] if args.no_plots else args.runs:
        show(*map(str, plots.draw_run(folder)))


def data_info(args):
    """Print the counts of a log."""
    names = ("format", "user", "item", "time", "core", "min_rating")
    data = {"data": {name: getattr(args, name) for name in names}}
    show(*data_table(open_dataset(args.log, config_from(data).data).about))
