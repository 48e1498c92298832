"""The truth's own gradients, against exact tangents and complex steps of the truth's own values."""

import ast
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minimamba import oracle
from minimamba.oracle.bound.tolerance import profile
from minimamba.oracle.bound.tracking import Tracking
from minimamba.oracle.truth.arithmetic import LONG, Multi, Plain, evaluate, exact
from minimamba.oracle.truth.block import mamba_lm
from minimamba.oracle.truth.ops import RULES, causal_conv1d, discretize, spectral_filter
from minimamba.oracle.truth.scan import recurrence, selective_scan

from ..mutants.kill import lm_weights
from .dual import Duals

CLOSE = 1e-14 if not LONG else 1e-15


def real(rng, *shape):
    return rng.standard_normal(shape)


def either(rng, complex_numbers):
    def draw(*shape):
        return real(rng, *shape) + 1j * complex_numbers * real(rng, *shape)

    return draw if complex_numbers else partial(real, rng)


def scan_case(rng, complex_numbers=False, form="grouped", l=5, options=True):
    draw, (b, d, n) = either(rng, complex_numbers), (2, 4, 3)
    shape = {"constant": (d, n), "varying": (b, l, n), "grouped": (b, l, 2, n)}[form]
    case = {"u": real(rng, b, l, d), "delta": real(rng, b, l, d), "A": draw(d, n)}
    case["A"] = case["A"] - 2 * np.abs(case["A"].real)
    case |= {"B": draw(*shape), "C": draw(*shape), "delta_softplus": True}
    if options:
        case |= {"D": real(rng, d), "z": 3 * real(rng, b, l, d), "delta_bias": real(rng, d)}
        case["initial_state"] = draw(b, d, n)
    return case, {"out": real(rng, b, l, d), "last_state": draw(b, d, n)}


def recurrence_case(rng, complex_numbers=False):
    draw = either(rng, complex_numbers)
    return {"a": draw(2, 6, 3), "b": draw(2, 6, 3), "h0": draw(2, 3)}, {"h": draw(2, 6, 3)}


def conv_case(rng, l=5, activation=True):
    case = {"x": real(rng, 2, l, 3), "weight": real(rng, 3, 4), "bias": real(rng, 3)}
    case |= {"initial_states": real(rng, 2, 3, 3), "activation": activation}
    return case, {"out": real(rng, 2, l, 3), "final_states": real(rng, 2, 3, 3)}


def packed_conv_case(rng, l=7):
    case, cotangents = conv_case(rng, l)
    case["seq_idx"] = np.array([[0, 0, 1, 1, 1, 2, 3], [1, 1, 1, 1, 1, 1, 2]])
    return case, cotangents


def discretize_case(rng, rule, complex_numbers=False):
    draw = either(rng, complex_numbers)
    case = {"delta": rng.random((2, 4, 3)), "A": draw(3, 2), "B": draw(2, 4, 2), "rule": rule}
    return case, {k: draw(2, 4, 3, 2) for k in ("A_bar", "B_bar")}


def filter_case(rng, l):
    f = l // 2 + 1
    return {"x": real(rng, 2, l, 3), "re": real(rng, f, 3), "im": real(rng, f, 3)}, {
        "out": real(rng, 2, l, 3)
    }


CASES = {
    "recurrence": (recurrence, recurrence_case),
    "complex recurrence": (recurrence, partial(recurrence_case, complex_numbers=True)),
    "conv": (causal_conv1d, conv_case),
    "packed conv": (causal_conv1d, packed_conv_case),
    "short conv": (causal_conv1d, partial(conv_case, l=1, activation=False)),
    "filter 1": (spectral_filter, partial(filter_case, l=1)),
    "filter 6": (spectral_filter, partial(filter_case, l=6)),
    "filter 7": (spectral_filter, partial(filter_case, l=7)),
}
for _form in ("constant", "varying", "grouped"):
    for _complex in (False, True):
        _draw = partial(scan_case, complex_numbers=_complex, form=_form)
        CASES[f"scan {_form} {'complex' * _complex}"] = (selective_scan, _draw)
CASES["scan without options"] = (selective_scan, partial(scan_case, options=False, l=1))
for _rule in RULES:
    for _complex in (False, True):
        _draw = partial(discretize_case, rule=_rule, complex_numbers=_complex)
        CASES[f"{_rule} {'complex' * _complex}"] = (discretize, _draw)


@pytest.mark.parametrize("name", CASES)
def test_every_gradient_of_the_truth_is_the_adjoint_of_the_exact_tangent(name):
    program, draw = CASES[name]
    rng = np.random.default_rng(0)
    case, cotangents = draw(rng)
    res = exact(program, **case, **{f"d{k}": g for k, g in cotangents.items()})
    for leaf in (k for k, v in case.items() if np.ndim(v) and np.asarray(v).dtype.kind in "fc"):
        tangent = either(rng, np.iscomplexobj(case[leaf]))(*case[leaf].shape)
        push = evaluate(program, Duals(), case | {leaf: (case[leaf], tangent)})
        forward = sum(np.vdot(g, push[k].t).real for k, g in cotangents.items())
        assert abs(forward - np.vdot(res[f"d{leaf}"], tangent).real) <= CLOSE * (1 + abs(forward))


@pytest.mark.parametrize("leaf", ["u", "delta", "A", "B", "C", "D", "z", "delta_bias"])
def test_gradients_of_the_scan_agree_with_a_complex_step(leaf):
    rng = np.random.default_rng(1)
    case, cotangents = scan_case(rng)
    del cotangents["last_state"]
    grad = exact(selective_scan, **case, dout=cotangents["out"])[f"d{leaf}"]
    step = np.longdouble(1e-200) * rng.standard_normal(case[leaf].shape)

    class Stepped(Plain):  # not complex numbers: real ones with an infinitesimal part
        def is_complex(self, x):
            return False

    moved = case | {leaf: case[leaf] + 1j * step.astype(np.clongdouble)}
    out = exact(selective_scan, Stepped(np.longdouble), **moved)["out"]
    forward, pulled = (out.imag * cotangents["out"]).sum(), (grad * step).sum()
    assert abs(forward - pulled) <= 1e-14 * abs(step).max() * (1 + abs(pulled / step.flat[0]))


@pytest.mark.parametrize("name", ["scan grouped ", "scan varying complex", "conv", "filter 6"])
def test_the_truth_without_long_doubles_is_the_same_truth(name):
    pytest.importorskip("mpmath")
    program, draw = CASES[name]
    case, cotangents = draw(np.random.default_rng(2))
    case |= {f"d{k}": g for k, g in cotangents.items()}
    want, got = exact(program, **case), exact(program, Multi(), **case)
    for k in want:
        gap = abs(want[k].astype(complex) - got[k].astype(complex))
        assert gap.max() <= 1e-15 * (1 + abs(want[k]).max()), k


@pytest.mark.parametrize(
    "m", [Plain(), Tracking(profile("float32")), Duals()], ids=lambda m: type(m).__name__
)
def test_a_number_beside_a_value_is_the_number_lifted(m):
    x, two = m.lift(np.array([0.3, -2.0])), m.lift(np.array([2.0]))
    got = (2 + x, x + 2, 2 - x, x - 2, 2 * x, x * 2)
    want = (two + x, x + two, two - x, x - two, two * x, x * two)
    for g, w in zip(got, want, strict=True):
        parts = [name for name in ("v", "e", "t") if hasattr(g, name)]
        pairs = [(getattr(g, name), getattr(w, name)) for name in parts] or [(g, w)]
        assert all(np.array_equal(*pair) for pair in pairs)


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_of_a_whole_model_are_the_adjoint_of_the_exact_tangent(tied):
    rng = np.random.default_rng(3)
    p = lm_weights(v=5, scale=1) | ({} if tied else {"lm_head.weight": real(rng, 5, 3)})
    ids, dout = np.array([[1, 2, 1, 4], [0, 3, 3, 1]]), real(rng, 2, 4, 5)
    res = exact(mamba_lm, ids=ids, p=p, dout=dout)
    for leaf in p:
        tangent = real(rng, *p[leaf].shape)
        moved = p | {leaf: (p[leaf], tangent)}
        push = evaluate(mamba_lm, Duals(), {"ids": ids, "p": moved})["logits"]
        forward, pulled = (push.t * dout).sum(), (res[f"d{leaf}"] * tangent).sum()
        assert abs(forward - pulled) <= 10 * CLOSE * (1 + abs(forward)), leaf


PLUMBING = ("minimamba.errors", "minimamba.files")  # sentences and files: nothing is computed there


def imported(node):
    """Return the modules that a node of a syntax tree imports, by their whole names."""
    if isinstance(node, ast.ImportFrom):
        return [f"{'.' * node.level}{node.module or ''}"]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def test_the_oracle_imports_nothing_of_what_it_judges():
    for file in Path(oracle.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for name in (name for node in ast.walk(tree) for name in imported(node)):
            outside = name.startswith("minimamba") and not name.startswith("minimamba.oracle")
            assert not outside or name in PLUMBING, f"{file.name} imports {name}"
