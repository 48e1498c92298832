"""Arrays in and out of NumPy, PyTorch, JAX and CuPy, without importing any of them by itself.

Arrays travel by DLPack where the dtype allows it; bfloat16, which does not, goes through float32,
exactly. Gradients come from the framework, or from a `backward` the caller gives.
"""

import numpy as np

COMPLEX = {"float32": "complex64", "float64": "complex128"}
MEMORY = {
    "contiguous": "row by row",
    "strided": "the last two axes the other way round, as after a transpose",
    "sliced": "the second half of a larger array, as after a split; what lies beside it is NaN",
    "expanded": "row by row, but the first cotangent, whose strides are 0 as after a sum",
}


def dtype_name(x):
    """Return the name of an array's dtype in any framework: 'float32', 'bfloat16', ..."""
    return str(x.dtype).rsplit(".", 1)[-1]


def kind_of(x, dtype):
    """Return the dtype in which an exact array travels: complex numbers in pairs of it."""
    return COMPLEX[dtype] if x.dtype.kind == "c" else dtype


class NumPy:
    """NumPy arrays; bfloat16 as `ml_dtypes` has it. Gradients only from an explicit backward."""

    name = "numpy"
    differentiates = False
    xp = np

    def array(self, x, dtype, memory="contiguous"):
        """Lay the array out where it lives: a copy from the host to a device comes contiguous."""
        xp, x = self.xp, np.asarray(x)
        if x.dtype.kind in "iub":
            return xp.asarray(x.astype(np.int64))
        x = xp.asarray(x.astype(self._dtype(kind_of(x, dtype)), order="C"))
        if memory == "sliced":
            return xp.concatenate([xp.full_like(x, np.nan), x], axis=1)[:, x.shape[1] :]
        turned = memory == "strided"
        return xp.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2) if turned else x

    def _dtype(self, name):
        if name != "bfloat16":
            return np.dtype(name)
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)

    def expanded(self, x):
        return self.xp.broadcast_to(x.ravel()[:1].reshape((1,) * x.ndim), x.shape)

    def host(self, x):
        """Return a copy in double precision, or None for what is not an array of numbers."""
        x = np.asarray(x)
        if x.dtype.kind in "OUS":
            return None
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)

    def is_array(self, x):
        return isinstance(x, (np.ndarray, np.generic))


class CuPy(NumPy):
    """CuPy arrays: made on the host, and laid out on the device."""

    name = "cupy"

    def __init__(self):
        import cupy

        self.xp = cupy

    def host(self, x):
        return super().host(self.xp.asnumpy(x))

    def is_array(self, x):
        return isinstance(x, self.xp.ndarray)


class Torch:
    """PyTorch tensors, on the device the caller's tensors are sent to."""

    name = "torch"
    differentiates = True

    def __init__(self, device="cpu"):
        import torch

        self.torch, self.device = torch, device

    def array(self, x, dtype, memory="contiguous"):
        torch, x = self.torch, np.array(x, order="C")
        if x.dtype.kind in "iub":
            return torch.from_dlpack(x.astype(np.int64)).to(self.device)
        wide = x.astype("complex128" if x.dtype.kind == "c" else "float64", order="C")
        t = torch.from_dlpack(wide).to(getattr(torch, kind_of(x, dtype))).to(self.device)
        if memory == "sliced":
            return torch.cat([torch.full_like(t, np.nan), t], 1)[:, t.shape[1] :]
        turned = memory == "strided"
        return t.transpose(-1, -2).contiguous().transpose(-1, -2) if turned else t

    def expanded(self, x):
        return x.ravel()[:1].reshape((1,) * x.ndim).expand(x.shape)

    def host(self, x):
        if not self.is_array(x) or x.dtype == self.torch.bool:
            return None
        x = x.detach().resolve_conj().resolve_neg().cpu()
        wide = self.torch.complex128 if x.is_complex() else self.torch.float64
        return np.from_dlpack(x.to(wide)).copy()

    def is_array(self, x):
        return isinstance(x, self.torch.Tensor)

    def gradients(self, call, leaves, cotangents):
        """Return `call`'s outputs and the gradients of `leaves`, by name."""
        with self.torch.enable_grad():
            leaves = {k: x.requires_grad_() for k, x in leaves.items()}
            outputs = call(leaves)
            pairs = [(outputs[k], g) for k, g in cotangents.items() if k in outputs]
            pairs = [(y, g) for y, g in pairs if y.requires_grad]
            if not pairs:
                raise RuntimeError("no output is connected to the inputs: no gradient flows")
            ys, gs = zip(*((y, g.to(y.dtype)) for y, g in pairs), strict=True)
            found = self.torch.autograd.grad(ys, list(leaves.values()), gs, allow_unused=True)
        return outputs, dict(zip(leaves, found, strict=True))


class Jax:
    """JAX arrays; gradients by `jax.vjp`, conjugated to PyTorch's convention."""

    name = "jax"
    differentiates = True

    def __init__(self):
        import jax

        self.jax = jax

    def array(self, x, dtype, memory="contiguous"):
        x = np.asarray(x)
        if dtype == "float64" and not self.jax.config.jax_enable_x64:
            raise RuntimeError("float64 under JAX needs jax.config.update('jax_enable_x64', True)")
        if x.dtype.kind in "iub":
            return self.jax.numpy.asarray(x.astype(np.int32))
        kind = kind_of(x, dtype)
        first = "float32" if dtype == "bfloat16" else kind
        return self.jax.numpy.asarray(x.astype(first)).astype(kind)

    def expanded(self, x):
        return x

    def host(self, x):
        if not self.is_array(x):
            return None
        x = np.asarray(x.astype("float32") if dtype_name(x) == "bfloat16" else x)
        return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)

    def is_array(self, x):
        return isinstance(x, (self.jax.Array, np.ndarray, np.generic))

    def gradients(self, call, leaves, cotangents):
        """Return `call`'s outputs and the gradients of `leaves`, by name."""
        outputs, pull = self.jax.vjp(call, leaves)
        given = {k: self.jax.numpy.zeros_like(y) for k, y in outputs.items()}
        given |= {k: g.conj().astype(given[k].dtype) for k, g in cotangents.items() if k in given}
        return outputs, {k: g.conj() for k, g in pull(given)[0].items()}


FRAMEWORKS = {"numpy": NumPy, "torch": Torch, "jax": Jax, "cupy": CuPy}


def find_framework(name, fn):
    """Return the framework called `name`; 'auto' looks at the modules the function can see."""
    if name != "auto":
        if name not in FRAMEWORKS:
            raise ValueError(f"framework must be auto, {', '.join(FRAMEWORKS)}, got {name!r}")
        return FRAMEWORKS[name]()
    roots = _modules_used(fn, set())
    for candidate in ("torch", "jax", "cupy"):
        if candidate in roots:
            return FRAMEWORKS[candidate]()
    return NumPy()


def _modules_used(fn, seen):
    """Return the top-level modules that a function's code, and the functions it calls, name."""
    fn = getattr(fn, "func", fn)  # functools.partial
    fn = getattr(fn, "__wrapped__", fn)
    fn = fn if hasattr(fn, "__code__") else getattr(type(fn), "forward", type(fn).__call__)
    roots, code = {(getattr(fn, "__module__", "") or "").split(".")[0]}, getattr(fn, "__code__", 0)
    if not code or code in seen:
        return roots
    seen.add(code)
    cells = (c.cell_contents for c in fn.__closure__ or () if c != type(c)())
    for x in [*(fn.__globals__.get(n) for n in code.co_names), *cells]:
        module = getattr(x, "__module__", None) or getattr(x, "__name__", "")
        roots.add(str(module).split(".")[0])
        if callable(x) and hasattr(x, "__code__"):
            roots |= _modules_used(x, seen)
    return roots
