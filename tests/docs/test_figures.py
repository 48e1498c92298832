"""Every figure on a page comes from a result that lies in the repository, rounded and not retyped.

A page is compared with its own files, not with all of them: among thousands of numbers three
digits are found by chance. What is no measurement, a definition or the size of a grid, is written
down below with its page. docs/gpu.md has a test of its own, tests/kernels/test_counts.py.
"""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "README.md": ["docs/results/demo.json"],
    "docs/index.md": [],
    "docs/results.md": ["docs/results/**/*.json*"],
    "docs/fidelity.md": ["docs/results/fidelity.json"],
    "docs/tolerances.md": ["benchmarks/results/bound_study.json"],
    "docs/recipes.md": [],
    "docs/shapes-and-memory.md": [],
    "docs/traceability.md": [],
    "benchmarks/README.md": ["benchmarks/results/*.json"],
    "tutorials/README.md": [],
}
GIVEN = {  # not measured: versions, definitions, sizes, tolerances that tests hold
    "README.md": "3.11",
    "docs/index.md": "3.11",
    "docs/fidelity.md": "1e-12 0.001 0.1 1e-5 62,592 156,608",  # the counts: test_fidelity.py
    "docs/tolerances.md": "2,049 100,000 400,000",
    "benchmarks/README.md": "1,024 65,536",
    "tutorials/README.md": "1e-3",
}
BOUNDED = r"(?<![\w.,])(\d[\d,]*\.\d+(?:e-?\d+)?|\d+e-?\d+|\d{1,3}(?:,\d{3})+)(?![\w]|\.\d|,\d)"
SILENT = re.compile(
    r"^ *```.*?^ *```|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|\(\d+\.\d+[a-z]?\)"
    r"|arXiv \S+|sections? [\d.]+|theorem [\d.]+",
    re.MULTILINE | re.DOTALL,
)


def figures(page):
    """Return the figures that stand in a page's prose and tables."""
    return re.findall(BOUNDED, SILENT.sub(" ", (ROOT / page).read_text()))


def numbers(value):
    """Yield every number of a result."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from numbers(part)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def known(page):
    """Return all numbers of the files that a page may quote."""
    paths = [path for pattern in FILES[page] for path in ROOT.glob(pattern)]
    assert bool(paths) == bool(FILES[page]), f"{page} quotes files that are not there"
    texts = [line for p in paths for line in _documents(p)]
    return [number for text in texts for number in numbers(json.loads(text))]


def _documents(path):
    text = path.read_text()
    return text.splitlines() if path.suffix == ".jsonl" else [text]


def written(value, figure):
    """Write a number as a figure is written: the same digits after the point, the same exponent."""
    mantissa = figure.split("e")[0]
    digits = len(mantissa.split(".")[1]) if "." in mantissa else 0
    return f"{value:.{digits}e}" if "e" in figure else f"{value:,.{digits}f}"


@pytest.mark.parametrize("page", FILES)
def test_every_figure_comes_from_a_result_of_its_page(page):
    results, given = known(page), GIVEN.get(page, "").split()
    wrong = [
        figure
        for figure in figures(page)
        if figure not in given and not any(written(x, figure) == figure for x in results)
    ]
    assert wrong == []


def test_a_retyped_figure_would_be_seen(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "results.md").read_text()
    assert "0.1357" in page
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "results.md").write_text(page.replace("0.1357", "0.1358"))
    results = known("docs/results.md")
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    odd = [f for f in figures("docs/results.md") if all(written(x, f) != f for x in results)]
    assert odd == ["0.1358"]


def rows_of(result):
    """Return the rows of a run's table: baselines, then the model."""
    return {**result["baselines"], "EchoMamba4Rec": result["test"]}


def test_the_tables_are_the_runs():
    page = (ROOT / "docs" / "results.md").read_text()
    readme = (ROOT / "README.md").read_text()
    demo = json.loads((ROOT / "docs" / "results" / "demo.json").read_text())["scores"]
    log = json.loads((ROOT / "docs" / "results" / "ml-100k" / "result.json").read_text())
    for digits, rows in ((3, demo), (4, rows_of(log))):
        for name, row in rows.items():
            cells = [f"{row[metric]:.{digits}f}" for metric in ("HR@10", "NDCG@10", "MRR@10")]
            assert f"| {name} | {' | '.join(cells)} |" in page
            assert rows is not demo or f"| {name} | {' | '.join(cells)} |" in readme


def test_the_runs_are_described_as_they_were():
    page = " ".join((ROOT / "docs" / "results.md").read_text().split())
    log = json.loads((ROOT / "docs" / "results" / "ml-100k" / "result.json").read_text())
    beauty = json.loads(
        (ROOT / "docs" / "results" / "beauty-first-epoch" / "result.json").read_text()
    )
    for result in (log, beauty):
        n = result["data"]["prepared"]
        assert f"({n['users']:,} users, {n['items']:,} items, {n['events']:,} events)" in page
    assert f"in its {log['epochs']}st epoch" in page and f"the {log['best_epoch']}th" in page
    assert log["stopped"] == "train.minutes" and round(log["training_seconds"] / 3600) == 2
    assert f"{log['stopped']}=110" in page and "minutes = 110.0" in log["config"]
    assert beauty["epochs"] == 1


def test_what_is_stored_for_all_states_is_as_large_as_the_page_says():
    page = (ROOT / "docs" / "shapes-and-memory.md").read_text()
    b, l, e, n = map(
        int, re.search(r"`b = (\d+)`, `l = (\d+)`, `e = (\d+)`, `n = (\d+)`", page).groups()
    )
    assert f"that is {round(8e-6 * b * l * e * n)} MB" in page
    assert f"inputs of {round(8e-6 * b * l * e)} MB" in page


def test_the_scores_of_the_demo_are_in_order():
    scores = json.loads((ROOT / "docs" / "results" / "demo.json").read_text())["scores"]
    order = [row["HR@10"] for row in scores.values()]
    assert list(scores)[-1] == "best possible" and order == sorted(order)
