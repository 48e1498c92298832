"""What every op takes, gives and keeps, as a table: each is run once, on sizes told apart.

The inputs come from `tests/cases.py`, which every law runs on. A size that no letter stands for is
an error, so the table cannot be wrong without the build failing.
"""

from functools import partial

import numpy as np
from tables import directive, table

from minimamba.trees import tree_leaves
from tests.cases import Sizes
from tests.ops import cases_elementary, cases_scans

SIZES = Sizes(b=23, l=11, d=7, e=13, n=3, k=5, v=29, r=2)
LETTERS = {size: letter for letter, size in SIZES._asdict().items()}
LETTERS |= {1: "1", 6: "f", 4: "k - 1", 15: "l + k - 1", 14: "2d"}
SPECIAL = {  # sizes that a case of its own fixes
    "embedding": {2: "b", 5: "l"},
    "selective_scan": {2: "chunks + 1"},
    "impulse_response": {6: "l"},
    "impulse_response_dense": {6: "l"},
    "transfer_function": {5: "points"},
}


def arrays(tree):
    """Return [(dotted path, array)] of a tree, or of a lone array under no path."""
    leaves = [("", tree)] if isinstance(tree, np.ndarray) else tree_leaves(tree)
    return [(path, leaf) for path, leaf in leaves if isinstance(leaf, np.ndarray | np.generic)]


def letters(name, x):
    """Write the shape of an array in letters."""
    known = LETTERS | SPECIAL.get(name, {})
    named = tuple(known[size] for size in x.shape)
    return f"`{str(named).replace(chr(39), '')}`" if named else "one number"


def row(case):
    """Run one op, and return its name and its shapes: in, out, kept beside the inputs."""
    inputs = case.draw(np.random.default_rng(0), SIZES)
    *outputs, cache = case.op(*inputs)
    show = partial(letters, case.name)
    given = [x for tree in inputs for _, x in arrays(tree)]
    new = [(p, x) for p, x in arrays(cache) if not any(np.shares_memory(x, y) for y in given)]
    kept = ", ".join(f"{p} {show(x)}".strip() for p, x in new) or "nothing"
    groups = [[show(x) for tree in trees for _, x in arrays(tree)] for trees in (inputs, outputs)]
    return ["`" + case.name.split("-")[0] + "`", *(", ".join(group) for group in groups), kept]


def shape_table():
    """Return the table of all ops, the first case of each."""
    cases = {}
    for case in cases_elementary.CASES + cases_scans.CASES:
        cases.setdefault(case.name.split("-")[0], case)
    return table(("op", "in", "out", "kept beside the inputs"), [row(c) for c in cases.values()])


def setup(app):
    """Register the directive."""
    app.add_directive("shape-table", directive(shape_table))
    return {"version": "1"}
