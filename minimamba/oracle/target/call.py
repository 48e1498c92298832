"""The callable that is judged: what it takes, how it is called in time, and what it gives back."""

import inspect
import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minimamba.oracle.contract.spec import Input, contract_of
from minimamba.oracle.target.frameworks import dtype_name, find_framework

TIMED = {"bld", "bln", "blgn", "bjd", "bldn"}  # in layout bdl the second of these axes is the last
LAID_OUT = TIMED | {"bd", "bn", "bgn"}  # activations: weights and states come row by row


class NoAnswer(Exception):
    """The callable raised, hung or returned what is no answer; the message says which."""


class TimedOut(NoAnswer):
    """The callable hung."""


@dataclass
class Result:
    """What one call gave, in double precision and channel-last."""

    outputs: dict
    dtypes: dict
    grads: dict = field(default_factory=dict)
    complaints: list = field(default_factory=list)  # shape, dtype and mutation, in sentences
    state: Any = None  # the returned state, as the callable made it

    def arrays(self):
        return self.outputs | self.grads


class Target:
    """A callable with its contract, layout and framework: cases go in, results come out."""

    def __init__(self, fn, op, layout="bdl", framework="auto", backward=None, limit=30.0):
        """Look at the callable; nothing is called yet."""
        if layout not in ("bdl", "bld"):
            raise ValueError(f"layout must be 'bdl' (mamba_ssm's) or 'bld', got {layout!r}")
        if not callable(fn):
            raise TypeError(f"the target must be callable, got {type(fn).__name__}")
        self.fn, self.backward, self.limit = fn, backward, limit
        self.contract, self.frame = contract_of(op), find_framework(framework, fn)
        self.layout = "bld" if self.contract.mapping else layout  # modules are channel-last
        self.names, self.positional, self.demands = parameters(fn, self.contract)

    @property
    def differentiates(self):
        return self.frame.differentiates or self.backward is not None

    def takes(self, name):
        """Tell whether the callable has an argument for one of our inputs or flags."""
        return name in self.names or name in self.positional

    def call(self, case, gradients=True, **more):
        """Call the target on a case, and pull the case's cotangents back if it can.

        `more` are arguments of a block or a model that are no part of the case: its state, a mask.
        """
        try:
            arrays = {k: self._array(case, k) for k in case.inputs}
        except (RuntimeError, TypeError, ValueError, ImportError) as error:
            raise NoAnswer(f"cannot be given {case.dtype}: {error}") from error
        before = {k: self.frame.host(x) for k, x in arrays.items()}
        wanted = gradients and self.differentiates and bool(case.cotangents)
        result = self._limited(self._call_and_pull, case, arrays, wanted, more)
        writable = self.contract.state[0] if self.contract.in_place else None
        for k, x in arrays.items():
            if k != writable and not np.array_equal(before[k], self.frame.host(x), equal_nan=True):
                result.complaints.append(f"changed its argument {k} in place")
        return result

    def _limited(self, f, *args):
        """Call in a thread that is given up after the limit: a hang must not hang the oracle."""
        box = []

        def work():
            try:
                with np.errstate(all="ignore"):
                    box.append(f(*args))
            except BaseException as error:
                box.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(self.limit)
        if not box:
            raise TimedOut(f"did not return within {self.limit:g} s")
        if isinstance(box[0], NoAnswer):
            raise box[0]
        if isinstance(box[0], BaseException):
            text = (str(box[0]).strip().splitlines() or [""])[0][:160]
            raise NoAnswer(f"raised {type(box[0]).__name__}: {text}") from box[0]
        return box[0]

    def _call_and_pull(self, case, arrays, wanted, more):
        raw = []

        def call(leaves):
            raw.append(self._call(case, arrays | leaves, more))
            return self._named(raw[-1], arrays)

        grads = {}
        if not wanted or self.backward is not None:
            outputs = call({})
            if wanted:
                grads = self._backward(case, raw[-1], arrays, outputs)
        else:
            whole = {k for k, v in case.inputs.items() if v.dtype.kind in "iub"}
            leaves = {k: x for k, x in arrays.items() if k not in whole}
            cotangents = {k: self._cotangent(case, k) for k in case.cotangents}
            outputs, grads = self.frame.gradients(call, leaves, cotangents)
        return self._result(case, outputs, grads, raw[-1])

    def _call(self, case, arrays, more):
        if self.contract.mapping:
            first, *rest = arrays
            beside = [k for k in rest if case.inputs[k].dtype.kind == "i"]
            weights = {k: arrays[k] for k in rest if k not in beside}
            return self.fn(arrays[first], weights, **{k: arrays[k] for k in beside}, **more)
        flags = self.flags(case)
        by_name = dict(arrays)
        first = [by_name.pop(k) for k in self.positional if k in by_name]
        return self.fn(*first, **{self.names.get(k, k): x for k, x in by_name.items()}, **flags)

    def flags(self, case):
        """Return the arguments of a call that are no arrays, under the callable's names."""
        flags = {self.names.get(k, k): v for k, v in case.flags.items()}
        if self.takes("return_last_state") and self.contract.state:
            flags["return_last_state"] = True
        if "activation" in flags:
            flags["activation"] = "silu"
        return flags

    def _named(self, returned, arrays):
        """Return {output name: array} of whatever came back."""
        names, state = self.contract.outputs, self.contract.state
        if isinstance(returned, dict):
            return {k: returned[k] for k in names if k in returned}
        parts = tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)
        parts = [x for x in parts if self.frame.is_array(x)][: len(names)]
        if not parts:
            kind = "nothing" if returned is None else type(returned).__name__
            raise NoAnswer(f"returned {kind} instead of {' and '.join(names)}")
        named = dict(zip(names, parts, strict=False))
        if self.contract.in_place and len(parts) == 1:
            named[state[1]] = arrays[state[0]]
        return named

    def _backward(self, case, returned, arrays, outputs):
        """Call `backward(cotangent of each output, cache)`; the cache is what came back last."""
        extra = isinstance(returned, tuple) and len(returned) > len(outputs)
        cache = returned[-1] if extra else arrays
        given = {k: self._cotangent(case, k) for k in case.cotangents}
        grads = self.backward(*(given.get(k) for k in case.contract.outputs), cache)
        if hasattr(grads, "_asdict"):
            grads = grads._asdict()
        elif isinstance(grads, tuple):
            grads = dict(zip(case.inputs, grads, strict=False))
        alias = {self.names.get(k, k): k for k in case.inputs}
        return {alias[k]: g for k, g in grads.items() if k in alias}

    def _result(self, case, outputs, grads, raw):
        result = Result({}, {})
        for k, x in outputs.items():
            value, complaint = self._back(case, k, x, case.output_axes(k))
            result.complaints += [complaint] if complaint else []
            result.outputs[k], result.dtypes[k] = value, dtype_name(x)
        for k, x in grads.items():
            if x is not None:
                value, complaint = self._back(case, k, x, case.axes[k])
                result.complaints += [f"gradient of {complaint}"] if complaint else []
                result.grads[f"d{k}"], result.dtypes[f"d{k}"] = value, dtype_name(x)
            else:
                result.grads[f"d{k}"] = np.zeros(case.inputs[k].shape)
                result.dtypes[f"d{k}"] = case.dtype_of(k)
        result.state = raw[1] if isinstance(raw, tuple) and len(raw) > 1 else None
        return result

    def argument(self, case, name):
        """Return an argument as the callable gets it, on the host."""
        x = self._array(case, name)
        return self.frame.host(x) if case.inputs[name].dtype.kind in "fc" else case.inputs[name]

    def cotangent(self, case, name):
        """Return a cotangent as the callable gets it, on the host."""
        return self.frame.host(self._cotangent(case, name))

    def _last(self, axes):
        """Tell whether the callable has time last, in an array of these axes."""
        return self.layout == "bdl" and axes in TIMED

    def _array(self, case, name):
        x, axes = case.inputs[name], case.axes[name]
        x = np.moveaxis(x, 1, -1) if self._last(axes) else x
        if self._last(axes) and np.iscomplexobj(x) and self.contract.name == "selective_scan":
            both = np.stack([x.real, x.imag], -1)  # re, im interleaved
            x = both.reshape(*x.shape[:-1], 2 * x.shape[-1])
        return self.frame.array(x, case.dtype_of(name), _memory(case, axes))

    def _cotangent(self, case, name):
        x, axes = case.cotangents[name], case.output_axes(name)
        x = np.moveaxis(x, 1, -1) if self._last(axes) else x
        y = self.frame.array(x, case.dtype_of(name), _memory(case, axes))
        first = next(iter(case.cotangents)) == name
        return self.frame.expanded(y) if case.memory == "expanded" and first and x.size else y

    def _back(self, case, name, x, axes):
        """Return a value in double precision and channel-last, and a complaint about its shape."""
        x = self.frame.host(x)
        want = case.expected(name)
        if x is None:
            return np.full(want, np.nan), f"{name} is not an array of numbers"
        if self._last(axes):
            pairs = name in case.inputs and np.iscomplexobj(case.inputs[name])
            if pairs and not np.iscomplexobj(x) and x.shape[-1] % 2 == 0:
                x = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2) @ [1, 1j]
            x = np.moveaxis(x, -1, 1) if x.ndim > 1 else x
        if x.shape != want:
            return np.full(want, np.nan), f"{name} has shape {x.shape}, expected {want}"
        return x, None


def _memory(case, axes):
    return case.memory if axes in LAID_OUT else "contiguous"


def parameters(fn, contract):
    """Return {our name: its name}, what goes by position, and the options it cannot do without."""
    ours = {a: k for k, v in contract.inputs.items() for a in (k, *v.names)}
    ours |= {a: k for k, v in contract.flags.items() for a in (k, *v)}
    required = [k for k, v in contract.inputs.items() if not v.optional]
    try:
        found = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        found = {}
    found = {k: p for k, p in found.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    if not found:  # it does not say: everything is tried
        return {k: k for k in (*contract.inputs, *contract.flags)}, required, set()
    names, demands = {}, set()
    for name, p in found.items():
        names.setdefault(ours.get(name, name), name)
        if p.default is p.empty and contract.inputs.get(ours.get(name), Input("")).optional:
            demands.add(ours[name])
    by_keyword = all(k in names for k in required)
    return names, [] if by_keyword else required, demands
