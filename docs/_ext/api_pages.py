"""One page for each module of the library, written before Sphinx reads; and plain docstrings.

Our docstrings are plain text with backticks and numpydoc's sections. To reStructuredText, `|a|` and
`*` and a trailing underscore mean something else, so they are escaped on the way.
"""

import pkgutil
import re
from pathlib import Path

import minimamba

API = Path(__file__).resolve().parents[1] / "api"
HIDDEN = re.compile(r"(^|\.)(_|__main__)")
QUIET = re.compile(r"(`+[^`]+`+|^[ ]*>>>(?:.*\n)+?(?=\s*\n|\Z))", re.MULTILINE)


def modules():
    """Return the dotted name of every public module."""
    found = pkgutil.walk_packages(minimamba.__path__, "minimamba.")
    return sorted(m.name for m in found if not HIDDEN.search(m.name.removeprefix("minimamba.")))


def write_pages(app):
    """Write docs/api/NAME.rst, and remove the pages of modules that are gone."""
    API.mkdir(exist_ok=True)
    wanted = {f"{name.removeprefix('minimamba.')}.rst": name for name in modules()}
    for old in API.glob("*.rst"):
        if old.name not in wanted:
            old.unlink()
    for page, name in wanted.items():
        title = f"``{name}``"
        text = f"{title}\n{'=' * len(title)}\n\n.. automodule:: {name}\n"
        package = (Path(minimamba.__file__).parents[1] / Path(*name.split("."))).is_dir()
        # A package's names have pages of their own; a name is documented where it is defined.
        text += "" if package else "   :members:\n   :ignore-module-all:\n"
        path = API / page
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def complete(text, names):
    """Add to the first list of docs/api.md what its lists do not name: a new module, a new room."""
    listed = set(re.findall(r"^api/(\w+)", text, re.MULTILINE))
    top = [name.removeprefix("minimamba.") for name in names]
    new = [f"api/{n}" for n in top if "." not in n and n not in listed]
    new += sorted({f"api/{n.split('.')[0]}.*" for n in top if "." in n} - set(_globs(text)))
    return text.replace("api/errors\n", "\n".join(["api/errors", *new]) + "\n", 1)


def _globs(text):
    return re.findall(r"^api/\w+\.\*$", text, re.MULTILINE)


def fill(app, docname, source):
    """Complete the list of modules while it is read."""
    if docname == "docs/api":
        source[0] = complete(source[0], modules())


def plain(text):
    """Escape what reStructuredText would take for markup, outside backticks and examples."""
    parts = QUIET.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            part = re.sub(r"([*|])", r"\\\1", part)
            parts[i] = re.sub(r"(?<=\w)_(?=[^\w]|$)", r"\\_", part)
        elif not part.startswith("``") and part.startswith("`"):
            parts[i] = "``" + " ".join(part.strip("`").split()) + "``"
    return "".join(parts)


def escape(app, what, name, obj, options, lines):
    """Hand autodoc a docstring that means what it says."""
    text = "\n".join(lines)
    if what == "module":
        before, *rest = re.split(r"\n\n(?=    )", text)
        blocks = [r.split("\n\n", 1) for r in rest]
        text = plain(before)
        for block in blocks:
            text += "\n\n::\n\n" + block[0] + "".join("\n\n" + plain(b) for b in block[1:])
    else:
        text = plain(text)
    lines[:] = text.split("\n")


def skip(app, what, name, obj, skipped, options):
    """Leave out the fields of NamedTuples: their signature lists them."""
    doc = getattr(obj, "__doc__", None) or ""
    return True if doc.startswith("Alias for field number") else None


def setup(app):
    """Join Sphinx's events, before napoleon reads the docstrings."""
    app.connect("builder-inited", write_pages)
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", escape, priority=400)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1"}
