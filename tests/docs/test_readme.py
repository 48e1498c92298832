"""What the documents show happens: code blocks run, commands exist, links lead on."""

import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest

from minimamba import cli
from minimamba.recsys.config import config_from

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PAGES += [ROOT / "tutorials" / "README.md", ROOT / "benchmarks" / "README.md"]
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SKETCH = "op_backward(dy, cache)"  # a scheme with names that stand for any op


def blocks(language):
    return [
        pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (kind, code) in enumerate(FENCE.findall(page.read_text()))
        if kind == language and SKETCH not in code
    ]


def train_first(folder):
    """Make the run that the documents speak of, from a log of sixty small items."""
    rng = np.random.default_rng(0)
    events = (f"{user},{rng.integers(1, 61)},{t}" for user in range(40) for t in range(12))
    log = folder / "ratings.csv"
    log.write_text("user,item,time\n" + "\n".join(events) + "\n")
    small = ["data.core=1", "model.width=8", "model.state=2", "model.length=8", "train.epochs=1"]
    command = ["train", "--data", str(log), "--user", "user", "--item", "item", "--time", "time"]
    command += ["--out", str(folder / "runs" / "first"), "-q"]
    assert cli.main(command + [word for name in small for word in ("--set", name)]) in (0, None)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_blocks_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if "runs/first" in code:
        train_first(tmp_path)
    with np.errstate(over="ignore"):  # the oracle's own cases are meant to overflow
        exec(compile(code, "<document>", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("code", blocks("toml"))
def test_settings_that_are_shown_are_settings(code):
    assert config_from(tomllib.loads(code))


def commands():
    lines = [
        line.split("#")[0].strip()
        for block in blocks("sh")
        for line in block.values[0].replace("\\\n", " ").splitlines()
    ]
    return sorted({line for line in lines if line.startswith(("minimamba ", "make "))})


@pytest.mark.parametrize("line", commands())
def test_commands_of_the_documents_exist(line):
    words = shlex.split(line)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert words[1] in targets
    else:
        cli.make_parser(with_oracle=True).parse_args(words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            found = (page.parent / target).exists() or target.startswith("api/")
            assert found, f"{page.name}: {target}"


def test_the_course_lists_every_notebook():
    index = (ROOT / "tutorials" / "README.md").read_text()
    missing = [p.name for p in ROOT.glob("tutorials/*.ipynb") if f"({p.name})" not in index]
    assert missing == []


def test_pictures_are_small():
    for path in [*ROOT.glob("docs/**/*.png")]:
        if "_build" not in path.parts:
            assert path.stat().st_size <= 60_000 or path.parent.name != "results", path
