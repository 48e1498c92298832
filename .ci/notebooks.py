"""Write tutorials/NN-name.ipynb from tutorials/source/NN-name.md: `make notebooks`.

The source is MyST Markdown, which diffs well; the notebook beside it is what students open. Code
cells are formatted by ruff on the way, in the source too. Nothing here depends on the clock or on
chance, so that a second run changes no byte; `--check` says which notebook is out of step.
"""

import subprocess
import sys
from pathlib import Path

import jupytext
import nbformat

TUTORIALS = Path(__file__).resolve().parent.parent / "tutorials"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def sources():
    """Return the Markdown source of every notebook, in order."""
    return sorted((TUTORIALS / "source").glob("[0-9][0-9]-*.md"))


def notebook_of(source):
    """Return where the notebook of a source lies."""
    return TUTORIALS / f"{source.stem}.ipynb"


def read(source):
    """Read one source as a notebook without outputs and with cell ids that never change."""
    notebook = jupytext.read(source)
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem[:2]}-{number:03d}"
    notebook.metadata = {"kernelspec": KERNEL}
    notebook.nbformat_minor = 5
    return notebook


def render(notebook):
    """Return the bytes of a notebook file."""
    return (nbformat.writes(notebook) + "\n").encode()


def format_code(notebook, path):
    """Return the notebook with its code cells as `ruff format` would have them."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(path), "-"]
    done = subprocess.run(command, input=render(notebook), capture_output=True, check=True)
    return nbformat.reads(done.stdout.decode(), as_version=4)


def write_back(source, before, after):
    """Put formatted code cells into the source, and touch nothing else of it."""
    text = source.read_text()
    for old, new in zip(before.cells, after.cells, strict=True):
        if old.cell_type == "code" and old.source != new.source:
            text = text.replace(old.source, new.source, 1)
    source.write_text(text)


def build(source):
    """Format one source and write its notebook."""
    before = read(source)
    after = format_code(before, notebook_of(source))
    write_back(source, before, after)
    notebook_of(source).write_bytes(render(read(source)))


def stale():
    """Return the notebooks that differ from what their source says."""
    out = []
    for source in sources():
        path = notebook_of(source)
        if not path.exists() or path.read_bytes() != render(read(source)):
            out.append(path.name)
    known = {notebook_of(s).name for s in sources()}
    return out + [p.name for p in TUTORIALS.glob("*.ipynb") if p.name not in known]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("out of step with its source: " + ", ".join(stale()) if stale() else 0)
    for each in sources():
        build(each)
