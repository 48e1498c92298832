"""What was measured, as Markdown: the tables of docs/results.md, read off the JSON files.

Each is a function and a directive of the same name, as in `tables.py`. No figure is typed, so a
benchmark that is run again changes the page by itself.
"""

import ast
import json

from equations import ROOT
from tables import directive, table

FOLDERS = ("docs/results", "benchmarks/results")


def load(name, root=ROOT):
    """Return one result of benchmarks/results."""
    return json.loads((root / "benchmarks" / "results" / f"{name}.json").read_text())


def caption(result):
    """Say where, when and beside how much other work a result was measured."""
    m = result["machine"]
    load = ", ".join(map(str, m["load"]))
    text = f"{m['processor']}, one core of {m['cores']}, NumPy {m['numpy']}, {m['date']}"
    return f"*{text}; load of the machine in the last 1, 5, 15 minutes: {load}.*\n\n"


def scan_results(root=ROOT):
    """Return the selective scan beside others, a table for each shape and dtype."""
    parts = []
    for result in load("selective_scan", root)["results"]:
        b, l, e, n = result["shape"]
        title = f"**{result['dtype']}, `b = {b}`, `l = {l}`, `e = {e}`, `n = {n}`**\n\n"
        parts.append(title + caption(result) + _contenders(result))
    return "\n\n".join(parts)


def _contenders(result):
    kinds = ("forward", "forward and backward")
    names = dict.fromkeys(name for kind in kinds for name in result[kind])
    rows = []
    for name in sorted(names, key=lambda n: result[kinds[0]].get(n, {}).get("ratio", 0)):
        cells = [result[kind].get(name) for kind in kinds]
        shown = [(number(c["ms"]), number(c["ratio"])) if c else ("", "") for c in cells]
        rows.append([name, *shown[0], *shown[1]])
    header = ("", "forward, ms", "ratio", "and all gradients, ms", "ratio")
    return table(header, rows)


def step_results(root=ROOT):
    """Return a training step beside others: its time, and its ratio to ours."""
    result = load("training_step", root)
    names = dict.fromkeys(name for r in result["results"] for name in r["programs"])
    rows = [[name, *(_timed(r["programs"].get(name)) for r in result["results"])] for name in names]
    header = ("ms (ratio)", *(f"`b = {r['b']}`, `l = {r['l']}`" for r in result["results"]))
    return caption(result) + table(header, rows)


def _timed(found):
    return f"{number(found['ms'])} ({number(found['ratio'])})" if found else ""


def length_results(root=ROOT):
    """Return time and memory of one scan against its length, and the fitted exponents."""
    result, rows = load("length", root), []
    for length, kinds in result["lengths"].items():
        cells = [f"{int(length):,}"]
        for kind in kinds.values():
            cells += [number(kind["seconds"] * 1e3), number(kind["bytes"] / 2**20)]
        rows.append(cells)
    fits = result["fits"].values()
    exponents = [f"{fit[what]:.2f}" for fit in fits for what in ("seconds", "bytes")]
    rows.append(["exponent", *exponents])
    header = ("length", "forward, ms", "MiB", "and all gradients, ms", "MiB")
    return caption(result) + table(header, rows)


def result_files(root=ROOT):
    """Return the table of all results: file, what wrote it, and that script's first sentence."""
    study = root / "tests" / "oracle" / "study.py"
    scripts = sorted([*root.glob("benchmarks/**/*.py"), *root.glob("docs/*.py"), study])
    rows = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.json")):
            name, text = _writer(path, scripts)
            rows.append([f"`{path.relative_to(root)}`", f"`{name}`" if name else "", text])
    return table(("result", "written by", "what it asks"), rows)


def _writer(path, scripts):
    """Return the script that writes a result, and what it is about; a run writes result.json."""
    if path.name == "result.json":
        return "minimamba train", "What does the recommender reach on this log?"
    texts = {script: script.read_text() for script in scripts}
    named = [s for s in scripts if s.stem == path.stem]
    named += [s for s in scripts if path.name in texts[s] or f'"{path.stem}"' in texts[s]]
    if not named:
        return "", ""
    about = ast.get_docstring(ast.parse(texts[named[0]])) or ""
    return f"{named[0].parent.name}/{named[0].name}", about.split("\n")[0].split(": `")[0]


def number(x):
    """Show three digits of a number, and all digits before its point."""
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def setup(app):
    """Register the directives."""
    for make in (scan_results, step_results, length_results, result_files):
        app.add_directive(make.__name__.replace("_", "-"), directive(make))
    return {"version": "1"}
