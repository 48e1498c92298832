"""The command line: parses, calls one function, prints.

Exit status: 0 done, 1 the checked code is wrong (`oracle`), 2 could not run.
"""

import argparse
import sys
from dataclasses import fields

from minimamba.errors import InputError


def main(argv=None):
    """Run one command, by default the process's; return its status.

    Examples
    --------
    >>> main(["data", "info", "no-such-log"])
    2
    """
    argv = sys.argv[1:] if argv is None else argv
    args = make_parser(with_oracle=argv[:1] == ["oracle"]).parse_args(argv)
    try:
        return args.call(args) or 0
    except InputError as error:
        return refuse(error)
    except KeyboardInterrupt:
        return refuse("stopped; the same command goes on from the last save")
    except Exception as error:
        from minimamba import gpu

        if (sentence := gpu.explain(error)) is None:
            raise
        return refuse(sentence)


def refuse(sentence):
    """Print why a command could not run, and return its status."""
    print(f"minimamba: {sentence}", file=sys.stderr)
    return 2


def make_parser(with_oracle=False):
    """Build the parser of all commands; the oracle's options are loaded only when asked for."""
    parser = argparse.ArgumentParser(
        prog="minimamba",
        description="Selective state space models from scratch, and the recommender EchoMamba4Rec.",
        epilog="The course, the benchmarks and the tests need a checkout: `make help` lists them.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_demo, add_train, add_evaluate, add_recommend, add_report, add_data, add_info):
        add(commands)
    add_oracle(commands, with_oracle)
    return parser


def command(commands, name, call, about, **more):
    """Add one command; its help prints every default."""
    parser = commands.add_parser(
        name,
        help=about,
        description=about,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        **more,
    )
    parser.set_defaults(call=call)
    return parser


def later(name):
    """Return a function that imports the recommender's commands when it is called, not before."""

    def call(args):
        from minimamba.recsys import commands

        return getattr(commands, name)(args)

    return call


def add_device(parser):
    about = "where to compute: cpu, gpu, or auto (gpu when there is one)"
    parser.add_argument("--device", choices=("cpu", "gpu", "auto"), default="cpu", help=about)


def add_set(parser):
    about = "one setting, as train.epochs=2; may be repeated"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=about)


def add_demo(commands):
    parser = command(commands, "demo", later("demo"), "train on built-in data, about a minute")
    parser.add_argument("--out", default="runs/demo", help="run folder")
    parser.add_argument("--seed", type=int, default=1, help="of the log and of training")
    add_set(parser)


def settings_help():
    """List every setting of a run with its default."""
    from minimamba.recsys.config import Config

    lines = ["settings (for --set and the TOML file), with their defaults:"]
    for section in fields(Config):
        for known in fields(section.default_factory):
            name = f"{section.name}.{known.name}={known.default}"
            lines.append(f"  {name:32} {known.metadata['about']}")
    return "\n".join(lines)


class TrainHelp(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Print defaults, and the list of settings as it is laid out."""


def add_columns(parser):
    """Add the options that say how to read a log."""
    parser.add_argument("--format", default="auto", help="format of the log")
    for name in ("user", "item", "time"):
        parser.add_argument(f"--{name}", default="", help=f"column of the {name}, with a header")


def add_train(commands):
    about = "train on a log; the same command continues a run that was stopped"
    parser = command(commands, "train", later("train"), about, epilog=settings_help())
    parser.formatter_class = TrainHelp
    parser.add_argument("--data", required=True, help="the log; its format is detected")
    parser.add_argument("--titles", help="item file; by default one beside the log")
    parser.add_argument("--config", help="TOML file with settings")
    add_set(parser)
    parser.add_argument("--out", required=True, help="run folder")
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    add_columns(parser)
    add_device(parser)


def add_evaluate(commands):
    parser = command(commands, "evaluate", later("evaluate"), "measure the best weights of a run")
    parser.add_argument("run", help="run folder")
    parser.add_argument("--data", help="the log; by default the one it was trained on")
    about = "P1, masked or sampled; by default all three"
    parser.add_argument("--protocol", action="append", help=about)
    parser.add_argument("--rows", choices=("test", "valid"), default="test", help="which rows")
    add_device(parser)


def add_recommend(commands):
    parser = command(commands, "recommend", later("recommend"), "recommend items for a history")
    parser.add_argument("run", help="run folder")
    about = "items as the log names them, oldest first, separated by spaces or commas"
    parser.add_argument("--history", required=True, help=about)
    parser.add_argument("-k", type=int, default=10, help="how many items")
    about = "recommend items of the history too"
    parser.add_argument("--repeats", action="store_true", help=about)
    add_device(parser)


def add_report(commands):
    parser = command(commands, "report", later("report"), "compare runs, and draw their plots")
    parser.add_argument("runs", nargs="+", help="run folders")
    parser.add_argument("--no-plots", action="store_true", help="print the table only")


def add_data(commands):
    parser = commands.add_parser("data", help="look at logs")
    inner = parser.add_subparsers(required=True, metavar="COMMAND")
    parser = command(inner, "info", later("data_info"), "say what a log holds and how it is read")
    parser.add_argument("log", help="the log")
    parser.add_argument("--core", type=int, default=5, help="k of the k-core")
    parser.add_argument("--min-rating", type=float, default=0.0, help="least rating kept")
    add_columns(parser)


def add_info(commands):
    command(commands, "info", info, "print versions and whether a GPU can be used")


def info(args):
    """Print what is installed."""
    from minimamba import gpu
    from minimamba.recsys.run import versions

    for name, value in versions().items():
        print(f"{name:20} {value}")
    print(f"{'gpu':20} {gpu.unavailable() or gpu.describe()}")


def add_oracle(commands, wanted):
    """Add `oracle`, whose options belong to minimamba.oracle."""
    about = "is this selective scan right? exit 0 right, 1 wrong, 2 could not run"
    parser = command(commands, "oracle", None, about)
    if wanted:
        from minimamba.oracle.command import add_arguments

        add_arguments(parser)
