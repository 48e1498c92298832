"""One call of a judged operation: exact values, the axes they live on, the dtype they travel in."""

from dataclasses import dataclass, field, replace

import numpy as np

from minimamba.oracle.contract.spec import CONTRACTS, Input

TABLES = ("backbone.embeddings.weight", "item_embedding.weight")  # of one row a token or item


@dataclass(frozen=True)
class Case:
    """One call: exact values in double precision, to be handed over in `dtype`."""

    op: str
    dtype: str
    inputs: dict
    axes: dict
    cotangents: dict
    flags: dict = field(default_factory=dict)
    memory: str = "contiguous"  # or how its arrays lie in it, see `frameworks.MEMORY`
    seed: tuple = ()
    kind: str = ""  # of its sizes, where they are unusual: see `sizes.KINDS`

    @property
    def contract(self):
        return CONTRACTS[self.op]

    def dtype_of(self, name):
        """Return the dtype an input travels in: weights stay float32 beside 16-bit activations."""
        spec = self.contract.inputs.get(name, Input(""))
        constant = name in "BC" and self.axes.get(name) == "dn"
        wide = spec.weight or constant or name == "last_state"
        return "float32" if wide and self.dtype in ("float16", "bfloat16") else self.dtype

    def arguments(self, cotangents=True):
        """Return what the program of the truth is called with."""
        given = {f"d{k}": v for k, v in self.cotangents.items()} if cotangents else {}
        return self.inputs | self.flags | given

    def output_axes(self, name):
        axes = self.contract.outputs[name]
        return self.axes[axes[1:]] if axes[0] == "=" else axes

    def sizes(self):
        found = {}
        for name, x in self.inputs.items():
            found |= dict(zip(self.axes[name], x.shape, strict=True))
        table = next((x for k, x in self.inputs.items() if k in TABLES), None)
        found |= {} if table is None else {"v": len(table)}
        return found | ({"j": found["k"] - 1} if "k" in found else {})

    def expected(self, name):
        """Return the shape of an output, or of an input and so of its gradient."""
        if name in self.inputs:
            return self.inputs[name].shape
        sizes = self.sizes()
        return tuple(sizes[k] for k in self.output_axes(name))

    def with_inputs(self, **changes):
        """Return the case with other inputs, in the same axes; None drops one."""
        inputs = {k: v for k, v in (self.inputs | changes).items() if v is not None}
        return replace(self, inputs=inputs, axes={k: self.axes[k] for k in inputs})

    def rounded(self):
        """Return the case with every value rounded to the dtype it travels in."""
        inputs = {k: quantize(x, self.dtype_of(k)) for k, x in self.inputs.items()}
        cotangents = {k: quantize(x, self.dtype_of(k)) for k, x in self.cotangents.items()}
        return replace(self, inputs=inputs, cotangents=cotangents)


def quantize(x, dtype):
    """Round to the nearest value of a dtype, kept as double precision; integers stay.

    Examples
    --------
    >>> quantize(np.array([1.0 + 2.0**-9, 1.01]), "bfloat16")
    array([1.     , 1.0078125])
    """
    x = np.asarray(x)
    if x.dtype.kind in "iub" or dtype == "float64":
        return x
    if x.dtype.kind == "c":
        return quantize(x.real, dtype) + 1j * quantize(x.imag, dtype)
    if dtype != "bfloat16":
        with np.errstate(over="ignore"):
            return x.astype(dtype).astype(np.float64)
    bits = x.astype(np.float32).view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)  # ties to even
    return bits.view(np.float32).astype(np.float64)
