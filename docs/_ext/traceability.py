"""From an equation to its derivation, code, kernel, tests and oracle check; read off the sources.

A public op is a function in minimamba/ops or minimamba/blocks without a leading underscore; its
equations are those that its docstring and body cite. The tables are made at build time by the
directives `{equation-table}`, `{op-table}` and `{result-table}`; the tests use the functions.
"""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from equations import ROOT, anchor, citations, definitions

COMING = re.compile(r"tutorial (\d\d) \(to come\)")
ROOMS = ("ops", "blocks", "models")


class Op(NamedTuple):
    """One public function and what its source says about it."""

    name: str
    module: str  # "ops.linear"
    equations: tuple
    coming: tuple  # numbers of tutorials that will derive it


@cache
def _text(path):
    """Read a file once."""
    return path.read_text()


@cache
def _citations(path):
    return set(citations(_text(path)))


def ops(root=ROOT, rooms=ROOMS[:2]):
    """Return every public function of the rooms."""
    paths = (p for room in rooms for p in sorted((root / "minimamba" / room).glob("*.py")))
    paths = [path for path in paths if not path.name.startswith("_")]
    if "models" in rooms:
        paths += sorted((root / "minimamba").glob("[a-z]*.py"))
    return [op for path in paths for op in _ops_of(path, root)]


def _ops_of(path, root):
    text = _text(path)
    tree = ast.parse(text)
    module = ".".join(path.relative_to(root / "minimamba").with_suffix("").parts)
    coming = tuple(dict.fromkeys(COMING.findall(text)))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            source = ast.get_source_segment(text, node)
            yield Op(node.name, module, tuple(dict.fromkeys(citations(source))), coming)


def tests_of(name, root=ROOT):
    """Return the test files that use a name, nearest first."""
    word = re.compile(rf"\b{name}\b")
    files = sorted((root / "tests").rglob("*.py"))
    found = [p for p in files if word.search(_text(p))]
    return [str(p.relative_to(root)) for p in found]


def families(root=ROOT):
    """Return every differentiable op as a list of its functions: op, backward, and step if any."""
    known = {(op.module, op.name): op for op in ops(root)}
    for module, name in known:
        if (module, f"{name}_backward") in known:
            names = (name, f"{name}_backward", f"{name}_step")
            yield [known[module, n] for n in names if (module, n) in known]


def lessons(family, root=ROOT):
    """Return the numbers of the notebooks that derive a family's equations, or will."""
    chapters = {int(n.split(".")[0]) for op in family for n in op.equations}
    chapters |= {int(n) for op in family for n in op.coming} if not chapters else set()
    written = {int(p.name[:2]): p.stem for p in (root / "tutorials" / "source").glob("*.md")}
    return [(chapter, written.get(chapter)) for chapter in sorted(chapters)]


def citing(number, pattern, root=ROOT):
    """Return the files below a pattern that cite an equation."""
    files = sorted(root.glob(pattern))
    return [str(p.relative_to(root)) for p in files if number in _citations(p)]


def equation_rows(root=ROOT):
    """Yield a row for each equation: where it is derived, coded, tested and judged."""
    everything = ops(root, ROOMS)
    for number, source in sorted(definitions(root).items(), key=lambda item: _order(item[0])):
        users = [op for op in everything if number in op.equations]
        tests = citing(number, "tests/**/*.py", root)
        names = {op.name for op in users}
        if not tests:
            tests = list(dict.fromkeys(t for name in names for t in tests_of(name, root)))
        yield {
            "number": number,
            "derivation": source.stem,
            "code": users,
            "kernels": citing(number, "minimamba/kernels/*.cu", root),
            "tests": tests,
            "oracle": _oracle(names, number, root),
        }


def _order(number):
    chapter, rest = number.split(".")
    return int(chapter), int(re.match(r"\d+", rest)[0]), rest


def _sibling(op):
    """Order a forward function before its backward, and both before the step."""
    return [op.name.endswith(ending) for ending in ("_step", "_backward")]


def _oracle(names, number, root):
    """Return the oracle's files that state an equation or judge one of these functions."""
    cited = citing(number, "minimamba/oracle/*.py", root)
    spec = root / "minimamba" / "oracle" / "spec.py"
    text = spec.read_text() if spec.exists() else ""
    judged = {n for n in names for base in (n.removesuffix("_backward"),) if f'"{base}"' in text}
    return cited or (["minimamba/oracle/spec.py"] if judged else [])


def _table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _api(op):
    module = op.module
    return f"[`{op.name}`](api/{module}.rst)"


def _files(paths):
    paths = list(paths)
    return ", ".join(f"`{Path(p).name}`" for p in paths[:3]) + (" …" if len(paths) > 3 else "")


def equation_table(root=ROOT):
    """Return the table of equations as Markdown."""
    rows = []
    for row in equation_rows(root):
        link = f"Eq. ({row['number']})"
        derived = f"[{row['derivation'][:2]}](../tutorials/{row['derivation']}.ipynb)"
        code = ", ".join(map(_api, sorted(row["code"], key=_sibling)))
        files = [_files(row[kind]) for kind in ("kernels", "tests", "oracle")]
        rows.append([link, derived, code, *files])
    header = ("equation", "in", "op, backward, step", "kernel", "tests", "oracle")
    return _table(header, rows)


def op_table(root=ROOT):
    """Return the table of differentiable ops as Markdown."""
    rows = []
    for family in families(root):
        numbers = dict.fromkeys(n for op in family for n in op.equations)
        derived = [
            f"[{number:02}](../tutorials/{stem}.ipynb)" if stem else f"{number:02} (to come)"
            for number, stem in lessons(family, root)
        ]
        tests = dict.fromkeys(t for op in family for t in tests_of(op.name, root))
        equations = ", ".join(f"Eq. ({n})" for n in sorted(numbers, key=_order))
        code = ", ".join(map(_api, family))
        rows.append([code, equations, ", ".join(derived), _files(tests)])
    return _table(("op, backward, step", "equations", "derived in", "tests"), rows)


def result_table(root=ROOT):
    """Return the table of measured results as Markdown: file, script and its first sentence."""
    rows = []
    for folder in ("docs/results", "benchmarks/results"):
        for path in sorted((root / folder).rglob("*.json")):
            script = root / "benchmarks" / f"{path.stem}.py"
            text = ast.get_docstring(ast.parse(_text(script))) if script.exists() else ""
            name = f"`benchmarks/{script.name}`" if script.exists() else ""
            rows.append([f"`{path.relative_to(root)}`", name, (text or "").split("\n")[0]])
    return _table(("result", "script", "what it asks"), rows)


def setup(app):
    """Register the two directives."""
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective

    def directive(make):
        class Table(SphinxDirective):
            def run(self):
                lines = StringList(make().split("\n"), source=__file__)
                return self.parse_content_to_nodes_of(lines)

            def parse_content_to_nodes_of(self, lines):
                self.content = lines
                return self.parse_content_to_nodes()

        return Table

    app.add_directive("equation-table", directive(equation_table))
    app.add_directive("op-table", directive(op_table))
    app.add_directive("result-table", directive(result_table))
    return {"version": anchor("0.1")}
