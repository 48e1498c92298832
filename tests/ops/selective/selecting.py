"""Arguments of selective scans, and the one requirement that every one of them has to meet."""

import numpy as np

from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from minimamba.oracle.bound.tolerance import tolerance
from minimamba.oracle.truth import arithmetic
from minimamba.oracle.truth import scan as truth

OPTIONS = ("D", "z", "delta_bias", "h0")
REGIMES = ("init", "wide", "fast", "negative", "still")


def draw(seed, sizes, dtype=np.float64, options=OPTIONS, softplus=True, regime="init"):
    """Return the arguments of a selective scan, by name."""
    (b, l, e, n), rng = sizes, np.random.default_rng(seed)
    steps = {
        "init": lambda: np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), (b, l, e))),
        "wide": lambda: np.exp(rng.uniform(-14, 2.5, (b, l, e))),
        "fast": lambda: rng.uniform(0.5, 30, (b, l, e)),
        "negative": lambda: rng.uniform(-0.1, 0.1, (b, l, e)),
        "still": lambda: np.zeros((b, l, e)),
    }[regime]()
    x = dict(u=rng.standard_normal((b, l, e)), delta=steps)
    x |= dict(A=-np.exp(rng.uniform(-3, 2, (e, n))), B=rng.standard_normal((b, l, n)))
    x |= dict(C=rng.standard_normal((b, l, n)), D=rng.standard_normal(e))
    x |= dict(
        z=3 * rng.standard_normal((b, l, e)),
        delta_bias=rng.uniform(-5, 1, e) if softplus else 0.01 * rng.random(e),
    )
    x |= dict(h0=rng.standard_normal((b, e, n)))
    x = {k: v.astype(dtype) if k not in OPTIONS or k in options else None for k, v in x.items()}
    return x | {"delta_softplus": softplus}


def for_oracle(x):
    """Return the arguments under the names of the oracle's program."""
    x = {k: v for k, v in x.items() if v is not None}
    return {"initial_state" if k == "h0" else k: v for k, v in x.items()}


def require_scan(x, dy, dh_last, scan=selective_scan, backward=selective_scan_backward):
    """Require outputs and gradients within the bound of the definition, whatever the chunks."""
    y, h_last, cache = scan(**x)
    grads = backward(dy, dh_last, cache)
    inputs = for_oracle(x) | {"dout": dy, "dlast_state": dh_last}
    exact = arithmetic.exact(truth.selective_scan, **inputs)
    bound = tolerance(truth.selective_scan, y.dtype, **inputs)
    got = {"out": y, "last_state": h_last}
    for name, gradient in grads._asdict().items():
        if gradient is None:
            assert x[name] is None
        else:
            got["dinitial_state" if name == "h0" else f"d{name}"] = gradient
    assert got.keys() == exact.keys()
    for name, value in got.items():
        assert value.dtype == x["u"].dtype, name
        assert (np.abs(value - exact[name]) <= bound[name]).all(), name


def pull(seed, x):
    """Return cotangents of the output and of the last state."""
    rng = np.random.default_rng([seed, 1])
    state = (x["u"].shape[0], *x["A"].shape)
    return tuple(rng.standard_normal(s).astype(x["u"].dtype) for s in (x["u"].shape, state))
