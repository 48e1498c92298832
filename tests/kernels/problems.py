"""Problems for the kernels, their answers in float64, and the distance between the two."""

from functools import partial

import numpy as np

from minimamba.arrays import to_host
from minimamba.kernels import selective
from minimamba.ops.selective.naive import (
    SelectiveScanInputs,
    selective_scan_naive,
    selective_scan_naive_backward,
)

selective_forward = partial(selective.forward, delta_softplus=True)  # as in a Mamba block
FORWARD, GRADIENT = 2e-6, 5e-6  # relative, in the 2-norm, float32 against float64
BFLOAT16 = 6e-3  # one rounding of the result, 2^-8 at worst, and the room of the sums


def relative(got, want, magnitude=None):
    """Return |got - want| / |want| in the 2-norm; a NaN anywhere is infinitely far.

    `magnitude`, for a long sum that may cancel, is the sum of the magnitudes of its terms.
    """
    got, want = to_host(got), to_host(want)
    scale = np.linalg.norm(want if magnitude is None else magnitude)
    far = np.linalg.norm(got.astype(want.dtype) - want)
    return np.inf if np.isnan(far) else far / scale if scale else far


def check(got, want, tolerance, what="", magnitude=None):
    """Fail unless shapes agree and `got` is within `tolerance` of `want`."""
    assert got.shape == want.shape, f"{what}: {got.shape}, expected {want.shape}"
    far = relative(got, want, magnitude)
    assert far <= tolerance, f"{what}: {far:.2e} away, allowed {tolerance:.0e}"


def selective_problem(b, l, e, n, seed=0, **without):
    """Return (inputs, h0, dy, dh_last) in float32; `z=None` and the like leave an input out."""
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    x = SelectiveScanInputs(
        u=normal(b, l, e),
        delta=normal(b, l, e) - np.float32(2),
        A=-np.exp(normal(e, n)),
        B=normal(b, l, n),
        C=normal(b, l, n),
        D=normal(e),
        z=normal(b, l, e),
        delta_bias=normal(e) * np.float32(0.1),
    )
    return x._replace(**without), normal(b, e, n), normal(b, l, e), normal(b, e, n)


def each(f, tree):
    """Return the tree with f applied to its arrays; what is no array stays."""
    if isinstance(tree, tuple):
        parts = [each(f, v) for v in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return f(tree) if hasattr(tree, "dtype") else tree


def double(tree):
    """Return float64 copies, through any tuple; what is no array stays as it is."""
    return each(lambda x: x.astype(np.float64), tree)


def selective_answer(x, h0, dy, dh_last, delta_softplus=True):
    """Return (y, h_last, grads) in float64, by the definition."""
    x, h0, dy, dh_last = double((x, h0, dy, dh_last))
    y, h_last, cache = selective_scan_naive(*x, delta_softplus, h0)
    return y, h_last, selective_scan_naive_backward(dy, dh_last, cache)


def check_selective(forward, backward, problem, answer, tolerances=(FORWARD, GRADIENT)):
    """Run a problem and compare outputs and every gradient."""
    x, h0, dy, dh_last = problem
    y, h_last, grads = answer
    got_y, got_h, cache = forward(x, h0)
    check(got_y, y, tolerances[0], "y")
    check(got_h, h_last, FORWARD, "h_last")
    got = backward(dy, dh_last, cache)
    magnitudes = {"delta_bias": np.abs(grads.delta).sum(axis=(0, 1))}
    for name, want in grads._asdict().items():
        if want is None:
            assert getattr(got, name) is None, name
        else:
            check(getattr(got, name), want, tolerances[1], f"d{name}", magnitudes.get(name))
