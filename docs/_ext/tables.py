"""The tables of the site that are made from the sources: equations, ops, other functions.

Each is a function that returns Markdown, and a directive of the same name: `{equation-table}`.
"""

from pathlib import Path

import traceability
from equations import ROOT, definitions
from traceability import order
from usage import tests_of

SHOWN = 3  # test files in a cell; more are counted


def table(header, rows):
    """Return a Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _api(op):
    return f"[`{op.name}`](api/{op.module}.rst)"


def _names(names):
    return ", ".join(f"`{name}`" for name in names)


def _tests(paths):
    rest = len(paths) - SHOWN
    return _names(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _truth(modules):
    return ", ".join(f"[`{module}`](api/{module}.rst)" for module in modules)


def _oracle(names):
    return ", ".join(f"[`{name}`](oracle-contract.md)" for name in names)


def _equations(ops):
    numbers = dict.fromkeys(n for op in ops for n in op.equations)
    listed = ", ".join(f"({n})" for n in sorted(numbers, key=order))
    return f"Eq{'s' * (len(numbers) > 1)}. {listed}" if numbers else ""


def _lessons(ops, root):
    return ", ".join(
        f"[{number:02}](../tutorials/{stem}.ipynb)" if stem else f"{number:02} (to come)"
        for number, stem in traceability.lessons(ops, root)
    )


def equation_table(root=ROOT):
    """Return the tables of equations, one for each notebook."""
    rows, chapters = {}, definitions(root)
    for row in traceability.equation_rows(root):
        judged = ", ".join(filter(None, (_oracle(row["contracts"]), _truth(row["truth"]))))
        cells = [f"Eq. ({row['number']})", ", ".join(map(_api, row["code"]))]
        cells += [_names(row["kernels"]), _tests(row["tests"]), judged]
        rows.setdefault(chapters[row["number"]].stem, []).append(cells)
    header = ("equation", "op, backward, step", "kernel", "tests", "oracle")
    return "\n\n".join(f"{_derived(stem)}\n\n{table(header, r)}" for stem, r in rows.items())


def _derived(stem):
    title = stem[3:].replace("-", " ")
    return f"**[{stem[:2]} {title}](../tutorials/{stem}.ipynb)**"


def op_table(root=ROOT):
    """Return the table of differentiable ops."""
    rows = []
    for family in traceability.families(root):
        numbers = dict.fromkeys(n for op in family for n in op.equations)
        tests = list(dict.fromkeys(t for op in family for t in tests_of(op, root)))
        judged = dict.fromkeys(filter(None, map(traceability.contract_of, family)))
        cells = [", ".join(map(_api, family)), _equations(family), _lessons(family, root)]
        cells += [_names(traceability.kernels_of(numbers, root)), _tests(tests), _oracle(judged)]
        rows.append(cells)
    header = ("op, backward, step", "equations", "derived in", "kernel", "tests", "oracle")
    return table(header, rows)


def other_table(root=ROOT):
    """Return the table of the public functions that are no differentiable ops, with the reason."""
    rows = []
    for (_, why), ops in traceability.others(root).items():
        tests = list(dict.fromkeys(t for op in ops for t in tests_of(op, root)))
        cells = [", ".join(map(_api, ops)), why, _equations(ops), _lessons(ops, root)]
        rows.append([*cells, _tests(tests)])
    return table(("function", "what it is", "equations", "derived in", "tests"), rows)


def directive(make):
    """Return the directive that puts the Markdown of `make` into a page, in a box of its name."""
    from docutils import nodes
    from docutils.statemachine import StringList
    from sphinx.util.docutils import SphinxDirective

    class Table(SphinxDirective):
        def run(self):
            self.content = StringList(make().split("\n"), source=str(Path(__file__)))
            box = nodes.container(classes=["wide", self.name])
            box += self.parse_content_to_nodes()
            return [box]

    return Table


def setup(app):
    """Register the directives."""
    for make in (equation_table, op_table, other_table):
        app.add_directive(make.__name__.replace("_", "-"), directive(make))
    return {"version": "1"}
