"""The contract: what every judged operation is called with, returns, and how its axes are named.

`docs/oracle-contract.md` says the same in words. Axes are letters (b batch, l time, d channel,
n state, g group, k taps, j = k - 1), in the library's channel-last order; layout "bdl" moves time
to the end, as mamba_ssm has it. Everything that slices, permutes or shrinks a case reads them.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from minimamba.errors import nearest
from minimamba.oracle.truth import block, echo, ops, scan


class Input(NamedTuple):
    """One argument: its axes, the names it goes by, and whether 16-bit callers keep it float32."""

    axes: str
    names: tuple = ()
    optional: bool = False
    weight: bool = False
    whole: bool = False  # integers, not differentiated


class Contract(NamedTuple):
    """One operation. `state` names the input and the output that continue each other."""

    name: str
    program: Callable
    inputs: dict
    outputs: dict  # name -> axes, or "=" and the input it is shaped like; in the order returned
    flags: dict = {}  # noqa: RUF012
    state: tuple | None = None
    linear: tuple = ()  # inputs in which the first output is jointly linear
    causal: bool = True
    mapping: bool = False  # called as f(first input, {name: array}) instead of by name
    in_place: bool = False  # the state may be written into its argument


STATE = ("initial_state", "h0", "x0", "initial_states", "state", "h", "ssm_state")
SCAN_IN = {
    "u": Input("bld", ("u", "x", "u_t", "x_t")),
    "delta": Input("bld", ("delta", "dt", "delta_t")),
    "A": Input("dn", ("A",), weight=True),
    "B": Input("bln", ("B", "B_t")),
    "C": Input("bln", ("C", "C_t")),
    "D": Input("d", ("D",), True, True),
    "z": Input("bld", ("z", "z_t"), True),
    "delta_bias": Input("d", ("delta_bias", "dt_bias"), True, True),
    "initial_state": Input("bdn", STATE, True, True),
    "seq_idx": Input("bl", ("seq_idx",), True, whole=True),
}
SOFTPLUS = {"delta_softplus": ("delta_softplus", "dt_softplus")}


def _step(x):
    """Return a step's inputs: those of a sequence of one, without its axis of time."""
    return {
        k: v._replace(axes=v.axes.replace("l", ""), optional=v.optional and "state" not in k)
        for k, v in x.items()
        if k != "seq_idx"
    }


def _one_step(m, program, timed, **inputs):
    """Run the program of a sequence on one step: put an axis of time in, and take it out."""
    put = {k: x[:, None] if k in timed else x for k, x in inputs.items()}
    res = program(m, **put)
    gone = {"out", "dout", *(f"d{k}" for k in timed)}
    return {k: x[:, 0] if k in gone else x for k, x in res.items()}


def _scan_step(m, **inputs):
    return _one_step(m, scan.selective_scan, {"u", "delta", "B", "C", "z", "dout"}, **inputs)


def _conv_step(m, **inputs):
    return _one_step(m, ops.causal_conv1d, {"x", "dout"}, **inputs)


def _mamba_block(m, x, dout=None, **p):
    return block.mamba_block(m, x, p, dout)


def _mamba_lm(m, input_ids, dlogits=None, **p):
    return block.mamba_lm(m, input_ids, p, dout=dlogits)


def _echo(m, item_seq, lengths, dscores=None, **p):
    return echo.echo(m, item_seq, lengths, p, dscores)


WINDOW = {"item_seq": Input("bl", whole=True), "lengths": Input("b", ("lengths",), whole=True)}
CONV_IN = {
    "x": Input("bld", ("x", "x_t")),
    "weight": Input("dk", ("weight", "w")),
    "bias": Input("d", ("bias",), True),
    "initial_states": Input("bjd", ("initial_states", "conv_state", "state"), True),
    "seq_idx": SCAN_IN["seq_idx"],
}
BLOCK_INPUTS = {
    "x": Input("bld"),
    "in_proj.weight": Input("ED"),
    "conv1d.weight": Input("e1k"),
    "conv1d.bias": Input("e", (), True),
    "x_proj.weight": Input("Re"),
    "dt_proj.weight": Input("er"),
    "dt_proj.bias": Input("e"),
    "A_log": Input("en"),
    "D": Input("e"),
    "out_proj.weight": Input("De"),
}
FILTER = {"x": Input("bld", ("x",)), "re": Input("fd", ("re",)), "im": Input("fd", ("im",))}
RECURRENCE = {
    "a": Input("bld", ("a", "A")),
    "b": Input("bld", ("b", "X", "x")),
    "h0": Input("bd", STATE, True),
}
DISCRETIZE = {k: SCAN_IN[k]._replace(weight=False) for k in ("delta", "A", "B")}


def _recurrence(m, a, b, h0=None, dh=None):
    zero = m.lift(np.zeros((b.shape[0], *b.shape[2:])))
    res = scan.recurrence(m, a, b, zero if h0 is None else h0, dh)
    return {k: v for k, v in res.items() if k != "dh0" or h0 is not None}


SCAN = {
    "flags": SOFTPLUS,
    "state": ("initial_state", "last_state"),
    "linear": ("u", "initial_state"),
}
CONV = {"flags": {"activation": ("activation",)}, "state": ("initial_states", "final_states")}
SCAN_OUT, CONV_OUT = {"out": "bld", "last_state": "bdn"}, {"out": "bld", "final_states": "bjd"}
STEP, DISCRETE_OUT = {"out": "bd"}, {"A_bar": "bldn", "B_bar": "bldn"}
ALL = [
    Contract("selective_scan", scan.selective_scan, SCAN_IN, SCAN_OUT, **SCAN),
    Contract(
        "selective_scan_step",
        _scan_step,
        _step(SCAN_IN),
        SCAN_OUT | STEP,
        **SCAN,
        in_place=True,
    ),
    Contract("recurrence", _recurrence, RECURRENCE, {"h": "=b"}, linear=("b", "h0")),
    Contract("causal_conv1d", ops.causal_conv1d, CONV_IN, CONV_OUT, **CONV),
    Contract(
        "causal_conv1d_step", _conv_step, _step(CONV_IN), CONV_OUT | STEP, **CONV, in_place=True
    ),
    Contract("spectral_filter", ops.spectral_filter, FILTER, {"out": "bld"}, causal=False),
    Contract("mamba_block", _mamba_block, BLOCK_INPUTS, {"out": "bld"}, mapping=True),
    Contract("mamba_lm", _mamba_lm, {}, {"logits": "blv"}, mapping=True),
    Contract("echo", _echo, WINDOW, {"scores": "bv"}, causal=False, mapping=True),
]
ALL += [
    Contract(
        f"discretize_{r}", partial(ops.discretize, rule=r), DISCRETIZE, DISCRETE_OUT, causal=False
    )
    for r in ops.RULES
]
CONTRACTS = {c.name: c for c in ALL}


def contract_of(op):
    """Return the contract of an operation, or say which name was meant."""
    if op not in CONTRACTS:
        raise ValueError(f"there is no op {op!r}; {nearest(op, sorted(CONTRACTS))}")
    return CONTRACTS[op]
