"""Tables of runs: what was trained, on what, and how well it did."""

import math
from pathlib import Path

from rich.table import Table

from minimamba.recsys.checkpoint import read_json
from minimamba.recsys.progress import SHOWN, metric_table


def data_table(about):
    """Return what to show of a log: its name, a table of its counts, and what identifies it.

    Parameters
    ----------
    about : dict
        From `dataset.open_dataset`.
    """
    table = Table()
    for name in ("", "users", "items", "events"):
        table.add_column(name, justify="right" if name else "left")
    for row in ("raw", "prepared"):
        table.add_row(row, *(f"{count:,}" for count in about[row].values()))
    rows = ", ".join(f"{count:,} {name}" for name, count in about["rows"].items())
    head = f"{about['path']}  (format {about['format']})"
    tail = f"rows    {rows}\nties    {about['tie_rule']}\nsha256  {about['sha256']}"
    return head, table, tail


def result_table(result):
    """Return a table of a result beside the baselines."""
    title = f"test, protocol {result['protocol']}, {result['data']['rows']['test']:,} rows"
    return metric_table(title, {**result["baselines"], "EchoMamba4Rec": result["test"]})


def runs_table(folders):
    """Return one line a run: protocol, metrics, epochs, time.

    Runs without a result yet are listed as training.
    """
    table = Table(title="runs", title_style="bold")
    for name in ("run", "protocol", *SHOWN, "best epoch", "epochs", "minutes"):
        table.add_column(name, justify="left" if name in ("run", "protocol") else "right")
    for folder in folders:
        path = Path(folder) / "result.json"
        if not path.exists():
            read_json(Path(folder) / "manifest.json")  # complains when this is no run folder
            table.add_row(str(folder), "not finished", *[""] * (len(table.columns) - 2))
            continue
        result = read_json(path)
        metrics = [f"{result['test'].get(name, math.nan):.4f}" for name in SHOWN]
        place = [str(result["best_epoch"]), str(result["epochs"])]
        minutes = f"{result['training_seconds'] / 60:.1f}"
        table.add_row(str(folder), result["protocol"], *metrics, *place, minutes)
    return table
