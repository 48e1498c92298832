r"""Every `\tag{3.1}` of the course is an anchor, and every `Eq. (3.1)` on the site a link to it.

Sphinx's own equation labels are invisible in Jupyter and on GitHub, and their numbers drift. Here
the number stands in the text, once as a tag and elsewhere as a citation; this extension joins them
in pages, docstrings, code cells and source views. A citation of an unknown equation, or a number
given twice, is a warning, and so fails the build. The first half of this file needs no Sphinx:
tests/docs/test_equations.py uses it alone.
"""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NUMBER = r"\d+\.\d+[a-z]?"
TAG = re.compile(rf"\\tag\{{({NUMBER})\}}")
CITATION = re.compile(rf"Eqs?\.\s+\({NUMBER}\)(?:(?:,|,? and| to|-|–)\s+\({NUMBER}\))*")
CITING = ("minimamba/**/*.py", "minimamba/**/*.cu", "tests/**/*.py", "docs/**/*.md", "*.md")
CITING += ("tutorials/*.md", "tutorials/source/*.md", "benchmarks/**/*.py", "minimamba/**/*.h")


def tags(text):
    """Return the numbers of all equations that a text defines, in order."""
    return TAG.findall(text)


def citations(text):
    """Return the numbers of all equations that a text cites, in order."""
    return [number for match in CITATION.finditer(text) for number in _spread(match[0])]


def _spread(citation):
    """Return the numbers of one citation; "(7.6) to (7.8)" also means the one between."""
    numbers = re.findall(rf"\(({NUMBER})\)", citation)
    ends = re.search(r"\((\d+)\.(\d+)\)(?: to|-|–)\s+\(\1\.(\d+)\)", citation)
    if ends:
        chapter, first, last = map(int, ends.groups())
        numbers += [f"{chapter}.{i}" for i in range(first + 1, last)]
    return numbers


def anchor(number):
    """Return the HTML id of an equation."""
    return "eq-" + number.replace(".", "-")


def definitions(root=ROOT):
    """Return {number: notebook source} over the course."""
    sources = sorted((root / "tutorials" / "source").glob("*.md"))
    return {number: source for source in sources for number in tags(source.read_text())}


def doubled(root=ROOT):
    """Return the numbers that are given more than once."""
    sources = (root / "tutorials" / "source").glob("*.md")
    count = Counter(number for source in sources for number in tags(source.read_text()))
    return sorted(number for number, times in count.items() if times > 1)


def citing_files(root=ROOT):
    """Return every file of the project that may cite an equation."""
    found = {path for pattern in CITING for path in root.glob(pattern)}
    found.discard(root / "tests" / "docs" / "test_equations.py")  # it makes wrong ones up
    return sorted(p for p in found if "_build" not in p.relative_to(root).parts)


def unknown(root=ROOT):
    """Return (file, number) of every citation of an equation that does not exist."""
    known = definitions(root)
    return [
        (path.relative_to(root), number)
        for path in citing_files(root)
        for number in citations(path.read_text())
        if number not in known
    ]


def collect(app, doctree):
    """Give every tagged equation its anchor, and remember on which page it stands."""
    from docutils import nodes

    for node in doctree.findall(nodes.math_block):
        for number in tags(node.astext()):
            known = app.env.equations.get(number)
            if known:
                _warn(f"equation ({number}) is defined in {known} and again in {app.env.docname}")
            app.env.equations[number] = app.env.docname
            node["ids"].append(anchor(number))
        if tags(node.astext()):
            _display(node)


def _display(node):
    r"""Write the block as `\[...\]`: Sphinx would put it into `split`, which refuses a tag."""
    from docutils import nodes

    text = f"\\[{node.astext().strip()}\\]"
    node.children = [nodes.Text(text)]
    node.rawsource = text
    node["nowrap"] = node["no-wrap"] = True


def link(app, pagename, templatename, context, doctree):
    """Turn every citation in a finished page into links."""
    if "body" not in context:
        return

    def one(match):
        number = match[1]
        page = app.env.equations.get(number)
        if page is None:
            _warn(f"{pagename} cites Eq. ({number}), which does not exist")
            return match[0]
        target = app.builder.get_relative_uri(pagename, page) + "#" + anchor(number)
        return f'<a class="equation" href="{target}">({number})</a>'

    def all_of(match):
        return re.sub(rf"\(({NUMBER})\)", one, match[0])

    context["body"] = CITATION.sub(all_of, context["body"])


def all_shown(app, env):
    """Refuse a site on which an equation of the course got lost."""
    for number in definitions():
        if number not in env.equations:
            _warn(f"equation ({number}) is tagged in the course and stands on no page as a formula")


def _warn(sentence):
    from sphinx.util import logging

    logging.getLogger(__name__).warning(sentence)


def _start(app, env, docnames):
    if not hasattr(env, "equations"):
        env.equations = {}


def _purge(app, env, docname):
    env.equations = {n: d for n, d in getattr(env, "equations", {}).items() if d != docname}


def setup(app):
    """Join Sphinx's events."""
    app.connect("env-before-read-docs", _start)
    app.connect("env-purge-doc", _purge)
    app.connect("doctree-read", collect)
    app.connect("env-check-consistency", all_shown)
    app.connect("html-page-context", link)
    return {"version": "1", "parallel_read_safe": False}
