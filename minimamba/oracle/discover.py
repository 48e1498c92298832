"""What a callable can do: declared by its author, or found out one capability at a time."""

from dataclasses import replace

import numpy as np

from .target import DidNotRun

FEATURES = {
    "selective_scan": ("constant", "groups", "complex", "initial_state with seq_idx"),
    "selective_scan_step": ("groups", "complex"),
    "recurrence": ("trailing", "complex"),
    "mamba_block": ("weights",),
    "mamba_lm": ("weights",),
    "echo": ("weights",),
}


def discover(target, dtype, declared, draw, skipped):
    """Return the capabilities that cases may use; say of every other one why not.

    Parameters
    ----------
    target : Target
    dtype : str
    declared : set of str or None
        What must work; None finds out by trying.
    draw : callable
        draw(seed, capabilities) -> Case.
    skipped : dict
        Receives {capability: reason}.

    Returns
    -------
    set of str

    Raises
    ------
    DidNotRun
        If not even the plainest case runs.
    """
    contract = target.contract
    always = {k for k in target.names if k.startswith("always ")}
    plain, have = target.run(draw((0, 0), always), gradients=False), set(always)
    optional = [k for k, v in contract.inputs.items() if v.optional]
    for name in (*optional, *contract.flags, *FEATURES.get(contract.name, ())):
        why = _lacks(target, dtype, declared, draw, name, always)
        if why is None:
            have.add(name)
        elif f"always {name}" not in always:
            skipped[f"{name} ({dtype})" if dtype in why else name] = why
    if contract.state and contract.state[1] not in plain.outputs:
        skipped[contract.state[1]] = "not returned"
    return have | _gradients(target, declared, draw, always, skipped)


def _lacks(target, dtype, declared, draw, name, always):
    contract = target.contract
    needs = set(name.split(" with ")) & set(contract.inputs)  # two arguments together, or one
    if (
        declared is not None
        and name != "weights"
        and not (name in declared or (len(needs) > 1 and needs <= declared))
    ):
        return "not declared"
    if not all(target.takes(k) for k in needs or {name} & set(contract.flags)):
        return "not an argument"
    if name == "complex" and dtype not in ("float32", "float64"):
        return f"complex numbers have no {dtype}"
    if declared is not None and name != "weights":
        return None
    case = draw((0, 1), always | {f"always {name}"})
    try:
        if name == "weights" and _deaf(target, case):
            return "it does not compute with the weights it is called with"
        target.run(case, gradients=False)
    except DidNotRun as error:
        return f"it {error}"
    return None


def _deaf(target, case):
    """Tell whether weights make no difference: a module called with its own, perhaps."""
    given = list(case.inputs.items())[1:]
    louder = case.with_inputs(**{k: 1.5 * x for k, x in given if x.dtype.kind == "f"})
    one, two = (target.run(c, gradients=False).outputs for c in (case, louder))
    return all(np.array_equal(x, two[k], equal_nan=True) for k, x in one.items())


def _gradients(target, declared, draw, always, skipped):
    have = set()
    if not target.differentiates:
        skipped["gradients"] = f"{target.frame.name} has none; pass backward="
        return have
    for name in ("gradients", "state_gradient"):
        if name == "state_gradient" and not target.contract.state:
            continue
        if declared is not None and name not in declared:
            skipped[name] = "not declared"
            continue
        case = draw((0, 2), always | {"gradients"} | have | {name})
        if name == "state_gradient":
            case = _of_the_state_alone(case)
        try:
            result = target.run(case)
            if not result.grads or (name == "state_gradient" and _only_zero(result)):
                raise DidNotRun("gives no gradient there")
            have.add(name)
        except DidNotRun as error:
            skipped[name] = f"it {error}"
            break
    return have


def _of_the_state_alone(case):
    last = case.contract.state[1]
    only = {k: np.ones_like(v) if k == last else 0 * v for k, v in case.cotangents.items()}
    return replace(case, cotangents=only, memory="contiguous")


def _only_zero(result):
    return not any(np.any(g) for g in result.grads.values())
