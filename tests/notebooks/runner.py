"""Run a notebook of the course in this process: as a student finds it, or with its solutions.

A solution is the first fenced code block of the `<details>` cell that follows an exercise cell.
Warnings are errors, the network is closed, and every check's verdict is kept.
"""

import ast
import contextlib
import io
import linecache
import os
import re
import socket
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import nbformat
from check.grade import Verdict

TUTORIALS = Path(__file__).resolve().parents[2] / "tutorials"


class Run(NamedTuple):
    """What a run of a notebook left behind."""

    verdicts: list  # (cell number, Verdict)
    figures: list  # cell numbers that drew one
    text: str  # all that was printed


def load(path):
    """Read a notebook."""
    return nbformat.read(path, as_version=4)


def notebooks():
    """Return every notebook of the course."""
    return sorted(TUTORIALS.glob("[0-9][0-9]-*.ipynb"))


def tags(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def solution_after(cells, number):
    """Return the code of the solution that follows an exercise cell."""
    for cell in cells[number + 1 :]:
        if cell.cell_type == "markdown" and "<summary>Solution" in cell.source:
            return re.search(r"```python\n(.*?)```", cell.source, re.DOTALL)[1]
        if "exercise" in tags(cell):
            break
    raise AssertionError(f"cell {number} has no solution:\n{cells[number].source}")


def code_cells(notebook, solved):
    """Yield (number, source) of the code to run."""
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        solve = solved and "exercise" in tags(cell)
        yield number, solution_after(notebook.cells, number) if solve else cell.source


def run_cell(source, name, namespace):
    """Run one cell and return the value of its last expression, as a notebook does."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    tree = ast.parse(source, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    return eval(compile(ast.Expression(last.value), name, "eval"), namespace) if last else None


def _no_network(*_):
    raise OSError("a notebook of the course must not use the network")


@contextlib.contextmanager
def classroom():
    """Stand in the tutorials' folder, offline, with warnings as errors."""
    here, connect = Path.cwd(), socket.socket.connect
    os.chdir(TUTORIALS)
    sys.path.insert(0, str(TUTORIALS))
    socket.socket.connect = _no_network
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as text:
            warnings.simplefilter("error")
            yield text
    finally:
        socket.socket.connect = connect
        sys.path.remove(str(TUTORIALS))
        os.chdir(here)
        plt.close("all")


def run(path, solved, pictures=None):
    """Run a notebook; with `pictures`, a folder, its figures are saved there to be looked at."""
    notebook, verdicts, figures = load(path), [], []
    namespace = {"__name__": "__main__"}
    with classroom() as text:
        for number, source in code_cells(notebook, solved):
            value = run_cell(source, f"<{path.stem} cell {number}>", namespace)
            if isinstance(value, Verdict):
                verdicts.append((number, value))
            elif value is not None:
                print(repr(value))
            for figure in map(plt.figure, plt.get_fignums()):
                figures.append(number)
                if pictures:
                    figure.savefig(Path(pictures) / f"{path.stem}-{number:03d}.png")
                else:
                    figure.canvas.draw()
            plt.close("all")
        return Run(verdicts, figures, text.getvalue())


if __name__ == "__main__":  # python -m tests.notebooks.runner NN [folder for the figures]
    where = sys.argv[2] if len(sys.argv) > 2 else None
    for each in notebooks():
        if each.name.startswith(sys.argv[1]):
            result = run(each, True, where)
            print(result.text)
            print(*(v for _, v in result.verdicts), sep="\n")
            print(*(v for _, v in run(each, False).verdicts), sep="\n")
