"""What a callable can do: declared by its author, or found out one capability at a time."""

import warnings
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from minimamba.oracle.cases.sizes import KINDS
from minimamba.oracle.target.call import NoAnswer

FEATURES = {
    "selective_scan": ("constant", "groups", "complex", "initial_state with seq_idx"),
    "selective_scan_step": ("groups", "complex"),
    "recurrence": ("trailing", "complex"),
    "mamba_block": ("weights",),
    "mamba_lm": ("weights",),
    "echo": ("weights",),
}

LOST = "Casting (complex values to|from complex to) real"  # the warning of NumPy, PyTorch, JAX


def capabilities_of(contract):
    """Return the names of all that a callable of this operation may be declared to do.

    Examples
    --------
    >>> from minimamba.oracle.contract.spec import CONTRACTS
    >>> sorted(capabilities_of(CONTRACTS["spectral_filter"]))
    ['gradients', 'long', 'no rows', 'no steps', 'wide']
    """
    names = {*_options(contract), "gradients", *KINDS}
    return names | ({"state_gradient"} if contract.state else set())


def _options(contract):
    """Return what is tried one by one; the parameters of a model come with its weights."""
    optional = [k for k, v in contract.inputs.items() if v.optional and not contract.mapping]
    return [*optional, *contract.flags, *FEATURES.get(contract.name, ())]


def discover(target, dtype, declared, draw, skipped):
    """Return the capabilities that cases may use; say of every other one why not.

    `declared` must work; None finds out by trying. `draw` is called with a seed and capabilities,
    `skipped` receives {capability: reason}. `NoAnswer` says that not even the plainest case can
    be called, or that what is declared cannot be had.
    """
    contract = target.contract
    always = {f"always {k}" for k in target.demands}
    plain, have = target.call(draw((0, 0), always), gradients=False), set(always)
    for name in _options(contract):
        why = _lacks(target, dtype, declared, draw, name, always)
        if why is None:
            have.add(name)
        elif f"always {name}" not in always:
            skipped[f"{name} ({dtype})" if dtype in why else name] = why
    if contract.state and contract.state[1] not in plain.outputs:
        skipped[contract.state[1]] = "not returned"
    return have | _gradients(target, declared, draw, always, skipped)


def _lacks(target, dtype, declared, draw, name, always):
    """Return why a capability cannot be had, or None."""
    contract, asked = target.contract, None if name == "weights" else declared
    needs = set(name.split(" with ")) & set(contract.inputs)  # two arguments together, or one
    if asked is not None and name not in asked and not (len(needs) > 1 and needs <= asked):
        return "not declared"
    absent = [k for k in needs or {name} & set(contract.flags) if not target.takes(k)]
    if absent and asked is not None:
        raise NoAnswer(f"was declared to take {absent[0]}, which is not an argument")
    if absent:
        return "not an argument"
    if name == "complex" and dtype not in ("float32", "float64"):
        return f"complex numbers have no {dtype}"
    if asked is not None:
        return None
    return _tried(target, name, draw((0, 1), always | {f"always {name}"}))


def _tried(target, name, case):
    """Try a case that needs a capability; return why that does not go, or None."""
    try:
        if name == "weights" and _ignores_weights(target, case):
            return "it does not compute with the weights it is called with"
        with _strict_casts(target.frame):
            result = target.call(case, gradients=False)
    except NoAnswer as error:
        return f"it {error}"
    return _not_real(case, result) if name == "complex" else None


@contextmanager
def _strict_casts(frame):
    """Make an error of a cast that loses an imaginary part: it was not made for complex numbers."""
    torch = getattr(frame, "torch", None)
    quiet = torch is not None and not torch.is_warn_always_enabled()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", LOST)
        try:
            if quiet:
                torch.set_warn_always(True)  # it warns once a process, perhaps already
            yield
        finally:
            if quiet:
                torch.set_warn_always(False)


def _not_real(case, result):
    first, output = next(iter(case.inputs)), next(iter(case.contract.outputs))
    if case.inputs[first].dtype.kind == "f" and result.dtypes[output].startswith("complex"):
        return f"it returns {result.dtypes[output]} for real {first}"
    return None


def _ignores_weights(target, case):
    """Tell whether weights make no difference: a module called with its own, perhaps."""
    given = list(case.inputs.items())[1:]
    louder = case.with_inputs(**{k: 1.5 * x for k, x in given if x.dtype.kind == "f"})
    one, two = (target.call(c, gradients=False).outputs for c in (case, louder))
    return all(np.array_equal(x, two[k], equal_nan=True) for k, x in one.items())


def _gradients(target, declared, draw, always, skipped):
    have, both = set(), ("gradients", "state_gradient")
    if not target.differentiates:
        if declared and declared & set(both):
            raise NoAnswer("was declared to have gradients, and has none; pass a backward")
        skipped["gradients"] = f"{target.frame.name} has none; pass a backward"
        return have
    for name in both if target.contract.state else both[:1]:
        if declared is not None and name not in declared:
            skipped[name] = "not declared"
            continue
        try:
            _pulled_back(target, draw((0, 2), always | {"gradients"} | have | {name}), name)
            have.add(name)
        except NoAnswer as error:
            if declared is not None:
                raise NoAnswer(f"was declared to have {name}, but {error}") from error
            skipped[name] = f"it {error}"
            break
    return have


def _pulled_back(target, case, name):
    """Call with cotangents, for a state with its own alone; raise if nothing comes back."""
    if name == "state_gradient":
        last = case.contract.state[1]
        only = {k: np.ones_like(v) if k == last else 0 * v for k, v in case.cotangents.items()}
        case = replace(case, cotangents=only, memory="contiguous")
    grads = target.call(case).grads
    if not grads or (name == "state_gradient" and not any(np.any(g) for g in grads.values())):
        raise NoAnswer("gives no gradient there")
