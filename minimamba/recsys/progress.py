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

from minimamba.recsys.metrics import SHOWN


def epoch_line(step, seconds):
    """Say in one line what a finished epoch brought, and the seconds spent in it."""
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
    """Run through the Steps of a training of at most `epochs`, showing them unless `quiet`."""
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
