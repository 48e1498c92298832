"""The cases: drawn at random, weighted towards where implementations break.

Every option is on in half of the cases; step sizes come from six regimes, from memories of
thousands of steps to a state that forgets at once; one case in six has zeros strewn over its
inputs. Values are rounded to the dtype they travel in, so the truth is judged on what was handed
over.
"""

from dataclasses import replace
from functools import partial

import numpy as np

from minimamba.oracle.cases.models import draw_block, draw_echo, draw_lm
from minimamba.oracle.cases.sizes import draw_sizes
from minimamba.oracle.contract.case import Case
from minimamba.oracle.contract.spec import CONTRACTS, contract_of

MEMORY = ("contiguous", "contiguous", "strided", "strided", "sliced")
REGIMES = {
    "init": lambda rng, s: np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), s)),
    "wide": lambda rng, s: np.exp(rng.uniform(-14, 2.5, s)),
    "fast": lambda rng, s: rng.uniform(0.5, 4, s),
    "long": lambda rng, s: rng.uniform(1e-4, 1e-3, s),
    "threshold": lambda rng, s: rng.uniform(5, 25, s),  # where a softplus becomes the identity
    "huge": lambda rng, s: rng.uniform(15, 95, s),
}


def draw(op, seed, dtype="float32", capabilities=frozenset(), deep=False, like=None):
    """Draw one case.

    Parameters
    ----------
    op : str
        Name of a contract.
    seed : tuple of int
        Same seed, same case: the failures of a report name theirs.
    capabilities : set of str
        Optional inputs, forms of B and C, "complex", "gradients", "state_gradient", and the sizes
        (`sizes.KINDS`) that may appear.
    deep : bool
        Lengths around every power of two up to 2049.
    like : dict of str to array, optional
        Shapes of the weights, for the operations that bring their own.

    Examples
    --------
    >>> case = draw("recurrence", (0, 1))
    >>> case.inputs["a"].shape == case.inputs["b"].shape
    True
    """
    drawer = DRAWERS[contract_of(op).name]
    rng = np.random.default_rng([_number(op), *seed])
    sizes, kind = draw_sizes(rng, capabilities, deep)
    may = _chooser(rng, capabilities)
    inputs, axes, flags = drawer(rng, sizes, may, **({"like": like} if like else {}))
    inputs = inputs if like else _strew_zeros(rng, inputs, flags)
    case = Case(op, dtype, inputs, axes, {}, flags, str(rng.choice(MEMORY)), tuple(seed), kind)
    if "gradients" in capabilities:
        case = _with_cotangents(rng, case, capabilities)
    return case.rounded()


def _number(op):
    """Return a number for a name, the same in every process, unlike `hash`."""
    return int.from_bytes(op.encode()[-6:], "little")


def _chooser(rng, capabilities):
    def may(name, chance=0.5):
        return f"always {name}" in capabilities or (rng.random() < chance and name in capabilities)

    return may


def _normal(rng, shape, is_complex=False):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def _strew_zeros(rng, inputs, flags):
    """Put zeros where nothing may divide by them, or take their logarithm."""
    if rng.random() > 1 / 6:
        return inputs
    spared = {"seq_idx"} | ({"delta"} if flags.get("delta_softplus") else set())
    return {
        k: x if k in spared else np.where(rng.random(x.shape) < 0.2, 0, x)
        for k, x in inputs.items()
    }


def _with_cotangents(rng, case, capabilities):
    contract, sizes = case.contract, case.sizes()
    is_complex = any(np.iscomplexobj(x) for x in case.inputs.values())
    cotangents = {}
    for i, name in enumerate(contract.outputs):
        if i == 0 or not contract.state or "state_gradient" in capabilities:
            shape = tuple(sizes[k] for k in case.output_axes(name))
            mixed = is_complex and not (i == 0 and case.op.startswith("selective"))
            cotangents[name] = _normal(rng, shape, mixed)
    first, how = next(iter(cotangents)), rng.random()
    if how < 0.15:
        cotangents[first] = np.ones_like(cotangents[first])
        return replace(case, cotangents=cotangents, memory="expanded")
    if how < 0.25 and len(cotangents) > 1:  # the loss is of the state alone
        cotangents[first] = np.zeros_like(cotangents[first])
    return replace(case, cotangents=cotangents)


def _forms(rng, sizes, may):
    """Return the axes of B and of C: constant, varying or grouped, groups shared by both."""
    grouped = may("groups", 0.4)
    varying = "blgn" if grouped else "bln"
    if grouped:
        options = [g for g in range(1, sizes["d"] + 1) if sizes["d"] % g == 0]
        sizes["g"] = int(rng.choice(options[1:-1] or options))
    return tuple("dn" if may("constant", 0.25) else varying for _ in "BC")


def _draw_scan(rng, sizes, may):
    softplus, complex_numbers = may("delta_softplus", 0.6), may("complex", 0.3)
    regime = str(rng.choice(list(REGIMES)))
    axes = {"u": "bld", "delta": "bld", "A": "dn"}
    axes["B"], axes["C"] = _forms(rng, sizes, may)
    options = {"D": "d", "z": "bld", "delta_bias": "d"}
    axes |= {k: v for k, v in options.items() if may(k)}
    both = may("initial_state with seq_idx", 0.1)
    if both or may("seq_idx", 0.3):
        axes["seq_idx"] = "bl"
    if both or ("seq_idx" not in axes and may("initial_state")):
        axes["initial_state"] = "bdn"
    return _scan_values(rng, sizes, axes, softplus, complex_numbers, regime)


def _scan_values(rng, sizes, axes, softplus, complex_numbers, regime):
    shape = {k: tuple(sizes[x] for x in v) for k, v in axes.items()}
    x = {k: _normal(rng, s, complex_numbers and k in "BC") for k, s in shape.items()}
    delta = REGIMES[regime](rng, shape["delta"])
    inverse = np.log(np.expm1(np.minimum(delta, 15)))
    x["delta"] = np.where(delta > 15, delta, inverse) if softplus else delta
    low, high = (-6, 0) if regime in ("huge", "threshold") else (-3, 2.8)
    x["A"] = -np.exp(rng.uniform(low, high, shape["A"]))
    if complex_numbers:
        x["A"] = x["A"] + 1j * rng.uniform(-4, 4, shape["A"]) * (regime != "huge")
    x["u"] = x["u"] * rng.choice([1, 1, 1, 1e-4, 1e3])
    if "z" in x:
        x["z"] *= rng.choice([1, 3, 40])
    if "delta_bias" in x:
        x["delta_bias"] = rng.uniform(-1 if softplus else 0, 1, shape["delta_bias"])
    if "initial_state" in x:
        x["initial_state"] = _normal(rng, shape["initial_state"], complex_numbers)
    if "seq_idx" in x:
        x["seq_idx"] = np.cumsum(rng.random(shape["seq_idx"]) < 0.3, axis=1)
    return x, axes, {"delta_softplus": True} if softplus else {}


def _draw_scan_step(rng, sizes, may):
    softplus, complex_numbers = may("delta_softplus", 0.6), may("complex", 0.3)
    axes = {"u": "bd", "delta": "bd", "A": "dn", "initial_state": "bdn"}
    axes |= {k: v for k, v in {"D": "d", "z": "bd", "delta_bias": "d"}.items() if may(k)}
    form = "bgn" if may("groups", 0.4) else "bn"
    if form == "bgn":
        sizes["g"] = int(rng.choice([g for g in (1, 2, 3, 4) if sizes["d"] % g == 0]))
    axes |= {"B": form, "C": form}
    return _scan_values(rng, sizes, axes, softplus, complex_numbers, str(rng.choice(list(REGIMES))))


def _draw_recurrence(rng, sizes, may):
    complex_numbers = may("complex", 0.4)
    trail = "bldn" if may("trailing", 0.6) else "bld"
    axes = {"a": trail, "b": trail} | ({"h0": trail.replace("l", "")} if may("h0") else {})
    x = {k: _normal(rng, [sizes[s] for s in v], complex_numbers) for k, v in axes.items()}
    decay = np.exp(-REGIMES[str(rng.choice(list(REGIMES)))](rng, x["a"].shape))
    x["a"] = decay * (x["a"] / np.abs(x["a"]))  # any sign, any phase
    return x, axes, {}


def _draw_conv(rng, sizes, may, step=False):
    sizes["k"] = int(rng.choice([2, 3, 4]))
    sizes["j"] = sizes["k"] - 1
    axes = {"x": "bd" if step else "bld", "weight": "dk"}
    axes |= {"bias": "d"} if may("bias") else {}
    packed = not step and may("seq_idx", 0.3)
    axes |= {"initial_states": "bjd"} if step or (not packed and may("initial_states")) else {}
    x = {k: _normal(rng, [sizes[s] for s in v]) for k, v in axes.items()}
    x["x"] *= rng.choice([1, 3, 30])
    if packed:
        axes["seq_idx"] = "bl"
        x["seq_idx"] = np.cumsum(rng.random((sizes["b"], sizes["l"])) < 0.3, axis=1)
    return x, axes, {"activation": True} if may("activation") else {}


def _draw_filter(rng, sizes, may):
    sizes["l"] = min(max(sizes["l"], 1), 257)  # the truth is a sum over all pairs of l and f
    sizes["f"] = sizes["l"] // 2 + 1
    axes = {"x": "bld", "re": "fd", "im": "fd"}
    return {k: _normal(rng, [sizes[s] for s in v]) for k, v in axes.items()}, axes, {}


def _draw_discretize(rng, sizes, may):
    axes, complex_numbers = {"delta": "bld", "A": "dn", "B": "bln"}, may("complex", 0.4)
    regime = str(rng.choice([k for k in REGIMES if k != "huge"]))
    x, _, _ = _scan_values(rng, sizes, axes | {"u": "bld"}, False, complex_numbers, regime)
    return {k: x[k] for k in axes}, axes, {}


DRAWERS = {
    "selective_scan": _draw_scan,
    "selective_scan_step": _draw_scan_step,
    "recurrence": _draw_recurrence,
    "causal_conv1d": _draw_conv,
    "causal_conv1d_step": partial(_draw_conv, step=True),
    "spectral_filter": _draw_filter,
    "mamba_block": draw_block,
    "mamba_lm": draw_lm,
    "echo": draw_echo,
    **{op: _draw_discretize for op in CONTRACTS if op.startswith("discretize")},
}
