"""What a run shows while it trains: a bar on a terminal, one line an epoch elsewhere."""

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

SHOWN = ("HR@10", "NDCG@10", "MRR@10")


def epoch_line(step, seconds):
    """Say in one line what an epoch brought.

    Parameters
    ----------
    step : Step
        Of a finished epoch.
    seconds : float
        Spent in it by this process.
    """
    record = step.state.history[-1]
    metrics = "  ".join(f"{name} {record['valid'][name]:.4f}" for name in SHOWN)
    mark = "  best" if step.improved else f"  best was {step.state.best:.4f}"
    return (
        f"epoch {record['epoch']:3d}  loss {record['loss']:.4f}  {metrics}  {seconds:.0f} s{mark}"
    )


def columns():
    """Return the columns of the bar: place, loss, rate and time left in the epoch."""
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[info]}"),
        TimeRemainingColumn(),
    )


def follow(steps, epochs, quiet=False):
    """Run through the Steps of a training, showing them; return nothing.

    Parameters
    ----------
    steps : iterator of Step
    epochs : int
        At most this many; shown only.
    quiet : bool
        Show nothing.
    """
    console = Console(stderr=True)
    began = time.monotonic()
    hidden = quiet or not console.is_terminal
    with Progress(*columns(), console=console, disable=hidden, transient=True) as bar:
        task = bar.add_task("training", total=None, info="")
        for step in steps:
            if step.finished:
                line = epoch_line(step, time.monotonic() - began)
                began = time.monotonic()
                if not quiet:
                    print_line(bar, console, line)
                bar.reset(task)
                continue
            bar.update(
                task,
                description=f"epoch {step.state.epoch + 1} of at most {epochs}",
                total=step.batches,
                completed=step.state.position,
                info=f"loss {step.loss:.4f}  {rate(bar, task)}",
            )


def rate(bar, task):
    """Return the speed in steps a second, when it is known."""
    speed = bar.tasks[task].speed
    return f"{speed:.1f} steps/s" if speed else ""


def print_line(bar, console, line):
    """Print a line above the bar, or plainly where there is no terminal."""
    if console.is_terminal:
        bar.console.print(line, highlight=False)
    else:
        print(line, file=sys.stderr, flush=True)


def metric_table(title, rows, names=SHOWN):
    """Return a table of metrics.

    Parameters
    ----------
    title : str
        Names the protocol, which belongs beside every number.
    rows : dict of str to dict
        Metrics by the row's name.
    """
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right")
    for row, metrics in rows.items():
        table.add_row(row, *(f"{metrics[name]:.4f}" for name in names))
    return table


def show(*things):
    """Print tables and lines to stdout."""
    console = Console(highlight=False)
    for thing in things:
        console.print(thing, soft_wrap=isinstance(thing, str), markup=False)
