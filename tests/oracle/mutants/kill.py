"""Make a mutant of `base.py`, and see how soon a check of the oracle notices."""

import types
from pathlib import Path

import numpy as np

from minimamba.oracle.bound.judge import accepted
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.cases.sizes import KINDS
from minimamba.oracle.check import failures
from minimamba.oracle.target.call import NoAnswer, Target

HERE = Path(__file__).parent
OPS = (HERE / "base.py").read_text(encoding="utf-8")
MODEL = (HERE / "base_model.py").read_text(encoding="utf-8")
SOURCE = OPS + MODEL[MODEL.index("def ") :]  # one module, so that an edit of an op reaches a model
OPTIONS = {
    "selective_scan": "D z delta_bias initial_state delta_softplus seq_idx constant groups complex",
    "selective_scan_step": "D z delta_bias delta_softplus groups complex",
    "causal_conv1d": "bias initial_states activation seq_idx",
    "causal_conv1d_step": "bias activation",
    "mamba_block": "weights",
    "mamba_lm": "weights",
}


def edits():
    """Return (name, contract, old lines, new lines) of every mutant in `edits.txt`."""
    found = []
    for block in (HERE / "edits.txt").read_text(encoding="utf-8").split("\n\n")[1:]:
        head, *lines = block.strip("\n").split("\n")
        name, op = head.split(" | ")
        old, new = ("".join(x[2:] + "\n" for x in lines if x[0] == sign) for sign in "-+")
        found.append((name, op, old, new))
    return found


def mutate(old, new):
    """Return `base.py` and `base_model.py` as one module, with one edit.

    Raises
    ------
    ValueError
        If the text to replace is not there exactly once.
    """
    if SOURCE.count(old) != 1:
        raise ValueError(f"the edit must fit once, found {SOURCE.count(old)} times: {old!r}")
    return made(SOURCE.replace(old, new))


def made(source):
    """Return a module made of source text."""
    module = types.ModuleType("mutant")
    exec(compile(source, "mutant", "exec"), module.__dict__)
    return module


RIGHT = made(SOURCE)


def weights(seed=0, d=3, e=4, n=2, r=2, k=3):
    rng = np.random.default_rng(seed)
    shapes = {"in_proj.weight": (2 * e, d), "conv1d.weight": (e, 1, k), "conv1d.bias": (e,)}
    shapes |= {"x_proj.weight": (r + 2 * n, e), "dt_proj.weight": (e, r), "dt_proj.bias": (e,)}
    shapes |= {"A_log": (e, n), "D": (e,), "out_proj.weight": (d, e)}
    return {name: rng.standard_normal(s) for name, s in shapes.items()}


def lm_weights(layers=2, v=7, d=3, scale=0.5):
    """Return the weights of a small language model under transformers' names."""
    rng = np.random.default_rng(1)
    p = {"backbone.embeddings.weight": rng.standard_normal((v, d))}
    p["backbone.norm_f.weight"] = rng.standard_normal(d)
    for i in range(layers):
        name = f"backbone.layers.{i}."
        p[name + "norm.weight"] = rng.standard_normal(d)
        p |= {f"{name}mixer.{k}": scale * w for k, w in weights(i).items()}
    return p


WEIGHTS = {"mamba_block": weights, "mamba_lm": lm_weights}


def target_of(module, op):
    """Return the target of a contract in `base.py` or a mutant of it."""
    backward = getattr(module, f"{op}_backward", None)
    return Target(getattr(module, op), op, framework="numpy", backward=backward)


def first_kill(target, cases=160, dtype="float32"):
    """Return (number of the case, what was said) of the first case that fails, or None."""
    op = target.contract.name
    like = {"like": WEIGHTS[op]()} if op in WEIGHTS else {}
    capabilities = {*OPTIONS[op].split(), *KINDS, "gradients", "state_gradient"}
    capabilities |= {"initial_state with seq_idx"}
    for i in range(cases):
        case = draw(op, (0, i), dtype, capabilities, **like)
        try:
            found, _ = failures(target, case, accepted(dtype))
        except NoAnswer as error:
            if case.kind:  # whoever raises at an unusual size has said that it is not right there
                continue
            return i, {("call", ""): str(error)}
        if found:
            return i, found
    return None
