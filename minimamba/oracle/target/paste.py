"""A failing case as code to copy and paste: the arrays, how they lie in memory, and the call."""

import sys

import numpy as np

from minimamba.oracle.target.call import LAID_OUT

LONGEST = 64  # numbers of one array that are written out
IMPORTS = {
    "numpy": "import numpy as np",
    "torch": "import numpy as np, torch",
    "jax": "import numpy as np, jax.numpy as jnp",
    "cupy": "import numpy as np, cupy",
}
ARRAY = {
    "numpy": "{x}",
    "torch": "torch.from_numpy({x})",
    "jax": "jnp.asarray({x})",
    "cupy": "cupy.asarray({x})",
}
BFLOAT16 = {"numpy": ".astype('bfloat16')", "torch": ".bfloat16()", "jax": ".astype('bfloat16')"}
TURNED = "{k} = {k}.swapaxes(-1, -2).copy().swapaxes(-1, -2)"
BESIDE = "{k} = {xp}.concatenate([{k} * np.nan, {k}], 1)[:, {n}:]"
MOVED = {
    "numpy": {"strided": TURNED, "sliced": BESIDE.replace("{xp}", "np")},
    "cupy": {"strided": TURNED, "sliced": BESIDE.replace("{xp}", "cupy")},
    "torch": {
        "strided": "{k} = {k}.mT.contiguous().mT",
        "sliced": BESIDE.replace("{xp}", "torch"),
    },
}


def code(target, case, output, judged=()):
    """Return code that makes the case's arguments and calls the target with them.

    `output` is what is wrong: for a gradient the call of the backward is written too. What was
    expected and what came back follow as comments. Indented by four; `textwrap.dedent` and `exec`
    run it, unless an array is too long.
    """
    frame, gradient = target.frame.name, output[1:] in case.inputs
    stranger = case.dtype == "bfloat16" and frame == "numpy"
    lines = [IMPORTS[frame] + ("; import ml_dtypes" if stranger else "")]
    lines += _import_of(target.fn) + (_import_of(target.backward) if gradient else [])
    shown = list(case.inputs)
    if case.contract.mapping:
        shown = shown[:1] + [k for k in shown[1:] if case.inputs[k].dtype.kind == "i"]
    for k in shown:
        lines += _made(target, case, k, _name(target, k), target.argument(case, k), case.axes[k])
    for k in case.cotangents if gradient else ():
        given = target.cotangent(case, k)
        lines += _made(target, case, k, f"d{k}", given, case.output_axes(k))
    call = _call(target, case, shown)
    lines += _pull(target, case, output[1:], call) if gradient else call
    for f in judged:
        if f.output == output and f.where.size <= LONGEST:
            lines.append(f"# {output}, channel-last, expected: {_plain(f.want, case)}")
            lines.append(f"# {output}, channel-last, got:      {_plain(f.got, case)}")
    return "\n".join("    " + line for line in lines)


def _name(target, key):
    return target.names.get(key, key).replace(".", "_")


def _import_of(fn):
    """Return the line that imports a function, if there is such a line."""
    module, name = getattr(fn, "__module__", None), getattr(fn, "__qualname__", "")
    if module == "__main__" or getattr(sys.modules.get(module), name, None) is not fn:
        return []
    return [f"from {module} import {name}"] if fn is not None else []


def _made(target, case, key, name, x, axes):
    """Return the lines that make one array, as the target is given it."""
    frame, dtype = target.frame.name, case.dtype_of(key)
    if x.size > LONGEST:
        return [f"# {name}: {x.shape}, {x.size} numbers, of the case with seed {case.seed}"]
    line = f"{name} = " + ARRAY[frame].format(x=literal(x, dtype))
    line += BFLOAT16.get(frame, "") if dtype == "bfloat16" and x.dtype.kind == "f" else ""
    moved = MOVED.get(frame, {}).get(case.memory) if axes in LAID_OUT and x.dtype.kind != "i" else 0
    return [line] + ([moved.format(k=name, n=x.shape[1])] if moved else [])


def _call(target, case, shown):
    name = getattr(target.fn, "__name__", "your_function")
    if case.contract.mapping:
        given = "".join(f", {k}={k}" for k in shown[1:])
        return [f"result = {name}({_name(target, shown[0])}, weights{given})  # seed {case.seed}"]
    given = [_name(target, k) for k in target.positional if k in shown]
    given += [f"{n}={n}" for n in (_name(target, k) for k in shown if k not in target.positional)]
    given += [f"{k}={v!r}" for k, v in target.flags(case).items()]
    return [f"result = {name}({', '.join(given)})"]


def _pull(target, case, key, call):
    """Return the call and the lines that pull the cotangents back, where they can be written."""
    if target.backward is not None:
        given = [f"d{k}" if k in case.cotangents else "None" for k in case.contract.outputs]
        name = getattr(target.backward, "__name__", "backward")
        return [*call, f"grads = {name}({', '.join(given)}, result[-1])"]
    if target.frame.name != "torch" or case.contract.mapping:
        return call
    leaf, wanted = _name(target, key), ", ".join(f"d{k}" for k in case.cotangents)
    lines = [f"{leaf}.requires_grad_()", *call]
    lines += ["outputs = result if isinstance(result, tuple) else (result,)"]
    first = f"outputs[:{len(case.cotangents)}]"
    return [*lines, f"grads = torch.autograd.grad({first}, {leaf}, ({wanted},))"]


def literal(x, dtype):
    """Return an array as code that makes it again, every digit kept and none too many.

    Examples
    --------
    >>> literal(np.array([[1.0, 0.1]]), "float32")
    'np.array([[1.0, 0.1]], np.float32)'
    """
    kind = {"float32": np.float32, "float16": np.float16, "bfloat16": np.float32}.get(dtype, float)

    def text(v):
        if isinstance(v, np.ndarray):
            return "[" + ", ".join(text(w) for w in v) + "]"
        if np.iscomplexobj(v):
            return f"{text(v.real)} + {text(v.imag)}j".replace("+ -", "- ")
        return str(kind(v)) if np.isfinite(v) and np.asarray(v).dtype.kind == "f" else str(v)

    x = np.asarray(x)
    if x.dtype.kind in "iu":
        return f"np.array({x.tolist()})"
    name = "float32" if dtype == "bfloat16" else dtype
    name = {"float32": "complex64", "float64": "complex128"}[name] if np.iscomplexobj(x) else name
    return f"np.array({text(x).replace('nan', 'np.nan')}, np.{name})"


def _plain(x, case):
    x = x.astype(complex if np.iscomplexobj(x) else float)
    return (x if case.dtype == "float64" else np.round(x, 9)).tolist()
