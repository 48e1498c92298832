"""Every table that is printed: a log's counts, metrics, runs beside each other, recommendations."""

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from minimamba.recsys.checkpoint import read_json
from minimamba.recsys.metrics import SHOWN


def show(*things):
    """Print tables and lines to stdout."""
    console = Console(highlight=False)
    for thing in things:
        console.print(thing, soft_wrap=isinstance(thing, str), markup=False)


def empty(title, *columns, words=("",)):
    """Return a table without rows; columns of words begin left, numbers end right."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for name in columns:
        table.add_column(name, justify="left" if name in words else "right")
    return table


def data_table(about):
    """Return a log's name, a table of its counts, and what identifies it, of `Dataset.about`."""
    table = empty(None, "", "users", "items", "events")
    for row in ("raw", "prepared"):
        table.add_row(row, *(f"{count:,}" for count in about[row].values()))
    rows = ", ".join(f"{count:,} {name}" for name, count in about["rows"].items())
    head = f"{about['path']}  (format {about['format']})"
    tail = f"rows    {rows}\nties    {about['tie_rule']}\nsha256  {about['sha256']}"
    return head, table, tail


def metric_table(title, rows):
    """Return a table of {name of the row: metrics}; the protocol belongs in the title."""
    table = empty(title, "", *SHOWN)
    for row, metrics in rows.items():
        table.add_row(row, *(f"{metrics[name]:.4f}" for name in SHOWN))
    return table


def result_table(result, **more):
    """Return a table of a result beside the baselines, and of more rows below it."""
    title = f"test, protocol {result['protocol']}, {result['data']['rows']['test']:,} rows"
    return metric_table(title, {**result["baselines"], "EchoMamba4Rec": result["test"], **more})


def runs_table(folders):
    """Return one line a run: protocol, metrics, epochs, time; "not finished" without a result."""
    columns = ("run", "protocol", *SHOWN, "best epoch", "epochs", "minutes")
    table = empty("runs", *columns, words=("run", "protocol"))
    for folder in folders:
        path = Path(folder) / "result.json"
        if not path.exists():
            read_json(Path(folder) / "manifest.json")  # complains when this is no run folder
            table.add_row(str(folder), "not finished")
            continue
        result = read_json(path)
        metrics = [f"{result['test'].get(name, math.nan):.4f}" for name in SHOWN]
        epochs = [str(result["best_epoch"]), str(result["epochs"])]
        minutes = f"{result['training_seconds'] / 60:.1f}"
        table.add_row(str(folder), result["protocol"], *metrics, *epochs, minutes)
    return table


def answer_table(answer, titles):
    """Return recommendations as a table, with the titles of {item: title} that are known."""
    why = "moved most by (clicks back, share of all influence)"
    table = empty("recommended next", "", "item", "chance", why, words=("item", why))
    for place, pick in enumerate(answer.picks, 1):
        item = f"{titles[pick.item]} [{pick.item}]" if pick.item in titles else pick.item
        reasons = ", ".join(
            f"{titles.get(name, name)} ({back}) {share:+.0%}" for name, back, share in pick.reasons
        )
        table.add_row(str(place), item, f"{pick.chance:.1%}", reasons)
    return table
