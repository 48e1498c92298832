"""Every notebook runs, as it is given out and with its solutions, and keeps the course's frame."""

import ast
import importlib
import json
import pkgutil
import re
import sys
import time

import pytest
from check.grade import Exercise

from minimamba import ops
from tests.notebooks.runner import TUTORIALS, load, notebooks, run, tags

sys.path.insert(0, str(TUTORIALS.parent / ".ci"))
from notebooks import sources, stale

NOTEBOOKS = [pytest.param(path, id=path.stem) for path in notebooks()]
FRAME = ("**What you will do.**", "**What you will learn.**", "**What you need.**")
DIRECTIVE = re.compile(r"^(:::|```\{)|\{(eq|ref|numref|doc|math|cite)\}`", re.MULTILINE)


def library_names():
    """Return every public name that can be called of the public modules of the ops."""
    names = set()
    for module in pkgutil.walk_packages(ops.__path__, f"{ops.__name__}."):
        if not re.search(r"\._|\.selective\.(blocks|memory|plan)$", module.name):  # insides
            loaded = vars(importlib.import_module(module.name)).items()
            names |= {n for n, v in loaded if getattr(v, "__module__", None) == module.name}
    return {name for name in names if not name.startswith("_")}


def markdown(notebook):
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def code(notebook):
    return [c for c in notebook.cells if c.cell_type == "code"]


def test_every_notebook_is_what_its_source_says():
    assert sources(), "the course is empty"
    assert stale() == [], "run `make notebooks`"


def test_the_index_has_a_row_for_every_number_and_a_link_to_every_notebook():
    text = (TUTORIALS / "README.md").read_text()
    rows = re.findall(r"^\| (?:\*\*)?(\d\d)(?:\*\*)? \| (.*?) \|", text, re.MULTILINE)
    assert [number for number, _ in rows] == [f"{n:02}" for n in range(16)]
    links = {number: re.search(r"\((.*\.ipynb)\)", cell) for number, cell in rows}
    assert {m[1] for m in links.values() if m} == {path.name for path in notebooks()}
    assert all(m[1].startswith(number) for number, m in links.items() if m)
    assert all(("to come" in cell) == (links[number] is None) for number, cell in rows)


def test_jupyterlab_shows_the_index_as_a_page():
    root = TUTORIALS.parent
    assert (
        "tutorials: export JUPYTER_CONFIG_PATH ?= $(CURDIR)/.ci/jupyter"
        in (root / "Makefile").read_text().splitlines()
    )
    path = root / ".ci" / "jupyter" / "labconfig" / "default_setting_overrides.json"
    settings = json.loads(path.read_text())["@jupyterlab/docmanager-extension:plugin"]
    assert settings == {"defaultViewers": {"markdown": "Markdown Preview"}}


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_with_solutions_every_check_passes(path):
    started = time.process_time()
    result = run(path, solved=True)
    assert time.process_time() - started < 60
    failed = [str(v) for _, v in result.verdicts if not v]
    assert failed == []
    assert len(set(result.figures)) >= 2
    for number in set(result.figures):
        after = load(path).cells[number + 1]
        assert after.cell_type == "markdown", f"cell {number} draws and no sentence follows"
        assert not after.source.startswith("#"), f"cell {number}: say what to see"


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_with_stubs_every_check_fails_with_its_hint_and_nothing_else_breaks(path):
    verdicts = [v for _, v in run(path, solved=False).verdicts]
    assert 3 <= len(verdicts) <= 6
    assert [str(v) for v in verdicts if v] == []
    assert all("Hint:" in v.message for v in verdicts)


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_the_frame_is_kept(path):
    notebook = load(path)
    text = markdown(notebook)
    assert notebook.cells[0].source.startswith("# ")
    assert all(part in text for part in FRAME)
    assert re.search(r"^## Exercises$", text, re.MULTILINE)
    assert re.findall(r"^## .*$", text, re.MULTILINE)[-1] == "## Where next"
    exercises = [c for c in notebook.cells if "exercise" in tags(c)]
    assert 3 <= len(exercises) <= 6
    assert all("NotImplementedError" in c.source for c in exercises)
    assert not any(c.get("outputs") for c in code(notebook))


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_the_markdown_is_portable(path):
    found = DIRECTIVE.search(markdown(load(path)))
    assert found is None, found


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_no_cell_redefines_a_library_name(path):
    for cell in code(load(path)):
        for node in ast.parse(cell.source).body:
            targets = getattr(node, "targets", [])
            names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}
            names |= {node.name} if isinstance(node, ast.FunctionDef) else set()
            assert not names & library_names(), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_every_check_is_one_of_the_library(path):
    for cell in code(load(path)):
        if "check" in tags(cell):
            module, name = re.match(r"(check)\.(\w+)\(", cell.source).groups()
            source = "\n".join(c.source for c in code(load(path)))
            topic = re.search(r"^from check import (\w+) as check$", source, re.M)[1]
            library = importlib.import_module(f"check.{topic}")
            assert isinstance(getattr(library, name), Exercise), module
