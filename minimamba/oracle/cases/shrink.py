"""From a failing case to the smallest one that still fails, and from there to simple values."""

import time
from dataclasses import replace

import numpy as np

LETTERS = "bldgnkj"


def shrink(case, fails, seconds=8.0):
    """Return the smallest case found within some seconds for which `fails(case)` is still true."""
    deadline = time.monotonic() + seconds

    def still(candidate):
        if time.monotonic() > deadline:
            return False
        candidate = candidate.rounded()
        return in_domain(candidate) and fails(candidate)

    for proposals in (_without_options, _smaller, _without_options, _smaller, _simpler):
        case = _descend(case, proposals, still)
    return case.rounded()


def in_domain(case):
    """Tell whether no state grows: the step sizes are not negative, the decay rates not positive.

    Growth is legal, and out of the bound's domain once it passes the largest number.
    """
    if "A" not in case.inputs or "delta" not in case.inputs:
        return True
    step = case.inputs["delta"] + case.inputs.get("delta_bias", 0)
    return (bool(case.flags) or step.min(initial=0) >= 0) and case.inputs["A"].real.max() <= 0


def _descend(case, proposals, still):
    """Take the first proposal that still fails, and propose again from there."""
    moved = True
    while moved:
        moved = False
        for candidate in proposals(case):
            if still(candidate):
                case, moved = candidate, True
                break
    return case


def _without_options(case):
    """Leave out one optional input, flag or cotangent; contiguous instead of strided."""
    for k in case.inputs:
        if k in case.contract.inputs and case.contract.inputs[k].optional:
            yield case.with_inputs(**{k: None})
    for k in case.flags:
        plain = replace(case, flags={f: v for f, v in case.flags.items() if f != k})
        if k == "delta_softplus":
            s = case.inputs["delta"] + case.inputs.get("delta_bias", 0)
            plain = plain.with_inputs(delta=np.logaddexp(s, 0), delta_bias=None)
        yield plain
    if case.cotangents:
        for k in list(case.cotangents)[1:]:
            yield replace(case, cotangents={f: v for f, v in case.cotangents.items() if f != k})
    if case.memory != "contiguous":
        yield replace(case, memory="contiguous")
    for k in "BC":
        if "g" in case.axes.get(k, ""):
            yield _one_group(case)
        if np.iscomplexobj(case.inputs.get(k)):
            yield _real(case)


def _one_group(case):
    """Give every channel the first group: the same forms of B and C without groups."""
    grouped = {k for k in "BC" if "g" in case.axes[k]}
    first = {k: np.take(case.inputs[k], 0, axis=case.axes[k].index("g")) for k in grouped}
    axes = case.axes | {k: case.axes[k].replace("g", "") for k in grouped}
    return replace(case, inputs=case.inputs | first, axes=axes)


def _real(case):
    part = {k: v.real.copy() for k, v in case.inputs.items()}
    pulled = {k: v.real.copy() for k, v in case.cotangents.items()}
    return replace(case, inputs=part, cotangents=pulled)


def _smaller(case):
    """Half of an axis, or all of it but one, from either end; groups shrink evenly."""
    sizes = case.sizes()
    for letter in LETTERS:
        size = sizes.get(letter, 0)
        if case.contract.mapping and letter not in ("bl" if case.contract.causal else "b"):
            continue
        for keep in _parts(size):
            made = take(case, letter, keep)
            if made is not None:
                yield made


def _parts(size):
    if size < 2:
        return
    half = size // 2
    yield np.arange(half)
    yield np.arange(half, size)
    for i in range(size if size <= 8 else 2):
        yield np.delete(np.arange(size), -1 - i)


def take(case, letter, keep):
    """Keep some indices of an axis of every array; d within its groups, g with its channels.

    Returns None where the axes depend on each other in a way that cannot be cut so.
    """
    sizes = case.sizes()
    cuts = {letter: keep}
    if letter == "d" and sizes.get("g", 1) > 1:
        c = sizes["d"] // sizes["g"]
        inside = [i for i in keep if i < c]  # the same channels of every group
        if not 0 < len(inside) < c:
            return None
        cuts["d"] = np.concatenate([np.array(inside) + i * c for i in range(sizes["g"])])
    if letter == "g":
        c = sizes["d"] // sizes["g"]
        cuts["d"] = np.concatenate([np.arange(i * c, (i + 1) * c) for i in keep])
    if letter == "j":
        return None
    if letter == "k":
        cuts["k"] = keep = np.arange(sizes["k"])[-len(keep) :]
        cuts["j"] = np.arange(sizes["j"])[len(case.inputs["weight"][0]) - len(keep) :]
        if len(keep) < 2:
            return None
    if "f" in sizes and letter == "l":
        cuts["f"] = np.arange(len(keep) // 2 + 1)
    inputs = {k: _cut(x, case.axes[k], cuts) for k, x in case.inputs.items()}
    cotangents = {k: _cut(x, case.output_axes(k), cuts) for k, x in case.cotangents.items()}
    return replace(case, inputs=inputs, cotangents=cotangents)


def _cut(x, axes, cuts):
    for letter, keep in cuts.items():
        if letter in axes:
            x = np.take(x, keep, axis=axes.index(letter))
    return x


def _simpler(case):
    """Whole arrays of ones or powers of two, then single elements of 0, 1 or one digit."""
    for group in ("cotangents", "inputs"):
        arrays = getattr(case, group)
        for k, x in arrays.items():
            if x.dtype.kind not in "fc" or not x.size or case.contract.mapping:
                continue
            for y in _plainer(x):
                y = -np.abs(y) if k == "A" and not np.iscomplexobj(y) else y
                if not np.array_equal(x, y) and _complexity(y) < _complexity(x):
                    yield replace(case, **{group: arrays | {k: y}})


def _plainer(x):
    yield np.ones_like(x)
    yield np.zeros_like(x)
    yield -np.ones_like(x)
    if np.iscomplexobj(x):
        yield 1j * np.ones_like(x)
    with np.errstate(all="ignore"):
        power = np.sign(x.real) * 2.0 ** np.round(np.log2(np.abs(x.real) + 1e-300))
    yield power.astype(x.dtype)
    yield np.round(x, 1)
    if x.size <= 12:
        for i in range(x.size):
            for v in (0, 1, *([1j] if np.iscomplexobj(x) else []), -1, 2, np.round(x.flat[i], 1)):
                y = x.copy()
                y.flat[i] = v
                yield y


def _complexity(x):
    """How complicated the values are: 0 and 1 weigh least, many digits most."""
    parts = np.concatenate([np.ravel(x.real), np.ravel(x.imag)])
    digits = [len(f"{v:.6g}".strip("-0.")) for v in parts]
    return sum(
        d + 0.5 * (v < 0) + 0.25 * (v not in (0, 1)) for d, v in zip(digits, parts, strict=True)
    )
