"""One `Case` for every differentiable pair: the laws (test_laws.py, test_teeth.py) run on them all.

A case lives beside the tests of its op, in any file named `cases_*.py` below `tests/`, in a list
called CASES; this module collects them. So a new op needs one new entry and no new law.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minimamba.gradcheck import complex_step
from minimamba.trees import tree_map


class Sizes(NamedTuple):
    """Sizes that the laws draw; a case uses those it has."""

    b: int = 2  # batch
    l: int = 5  # length
    d: int = 3  # width
    e: int = 4  # inner width
    n: int = 3  # state
    k: int = 3  # taps
    v: int = 7  # items
    r: int = 2  # rank of delta


class Case(NamedTuple):
    """A pair, and how to draw float64 inputs for it.

    Integers and numbers that are not differentiated are closed over:
    `lambda rng, s: ...` draws inputs only, so an op of ids takes them from its argument's shape or
    from a fixed pattern.
    """

    name: str  # of the public op, as in `linear`
    op: Callable  # *outputs, cache = op(*inputs)
    backward: Callable  # grads = backward(*doutputs, cache), in input order
    draw: Callable  # inputs = draw(rng, sizes), a tuple
    batched: tuple = ()  # which inputs have b rows, one for each row of every output; () if mixed
    tangent: Callable = complex_step
    tolerance: float = 1e-10


def normal(rng, *shape):
    """Return standard normal numbers."""
    return rng.standard_normal(shape)


def collect():
    """Return every case of every `cases_*.py`, in the order of their files."""
    root = Path(__file__).parent
    cases = []
    for path in sorted(root.rglob("cases_*.py")):
        module = ".".join(["tests", *path.relative_to(root).with_suffix("").parts])
        cases += importlib.import_module(module).CASES
    return cases


def grads_of(case, inputs, cotangents=None):
    """Run a case forward and back: (outputs, gradients as a tuple, cotangents)."""
    *outputs, cache = case.op(*inputs)
    outputs = tuple(outputs)
    if cotangents is None:
        cotangents = random_like(np.random.default_rng(314159), outputs)
    return outputs, pull(case, cotangents, cache, inputs), cotangents


def pull(case, cotangents, cache, inputs):
    """Return the gradients as a tuple, also that of a single input."""
    grads = case.backward(*cotangents, cache)
    return grads if len(inputs) > 1 else (grads,)


def random_like(rng, tree):
    """Return normal numbers of the shapes and dtypes of a tree."""

    def draw(x):
        numbers = rng.standard_normal(x.shape)
        if x.dtype.kind == "c":
            numbers = numbers + 1j * rng.standard_normal(x.shape)
        return np.asarray(numbers, dtype=x.dtype)

    return tree_map(draw, tree)
