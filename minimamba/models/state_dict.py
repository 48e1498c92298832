"""State dicts of other projects: taking entries by name, and putting them."""

import numpy as np

from minimamba.arrays import to_host
from minimamba.blocks.mamba import MambaParams
from minimamba.errors import InputError
from minimamba.ops.conv import ConvParams
from minimamba.ops.linear import LinearParams


class Entries:
    """A state dict that says which entry is missing, misshapen or unknown, and not merely that."""

    def __init__(self, mapping):
        self.mapping, self.seen = mapping, set()

    def take(self, name, *shape):
        """Return one entry as a NumPy array; a None in `shape` fits any size."""
        if name not in self.mapping:
            raise InputError(f"the state dict has no entry {name!r}")
        self.seen.add(name)
        value = np.asarray(to_host(self.mapping[name]))
        fits = value.ndim == len(shape) and all(
            want is None or want == got for want, got in zip(shape, value.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if size is None else str(size) for size in shape)
            raise InputError(f"the entry {name!r} has shape {value.shape}, expected ({wanted})")
        return value

    def take_optional(self, name, *shape):
        """Return one entry, or None where there is none."""
        return self.take(name, *shape) if name in self.mapping else None

    def finish(self, ignore=()):
        """Raise InputError if an entry was never taken and no part of its name is ignored."""
        for name in self.mapping:
            if name not in self.seen and not any(part in name for part in ignore):
                raise InputError(
                    f"the state dict has an entry {name!r} that no part of the model takes"
                )


def mamba_from_entries(entries, prefix, d):
    """Read one Mamba block under the official names: weights (out, in), conv1d.weight (e, 1, k)."""
    conv_weight = entries.take(f"{prefix}conv1d.weight", None, 1, None)[:, 0]
    e = len(conv_weight)
    A_log = entries.take(f"{prefix}A_log", e, None)
    dt_weight = entries.take(f"{prefix}dt_proj.weight", e, None)
    n, r = A_log.shape[1], dt_weight.shape[1]
    return MambaParams(
        in_proj=take_linear(entries, f"{prefix}in_proj", d, 2 * e),
        conv1d=ConvParams(conv_weight, entries.take_optional(f"{prefix}conv1d.bias", e)),
        x_proj=take_linear(entries, f"{prefix}x_proj", e, r + 2 * n),
        dt_proj=LinearParams(dt_weight.T, entries.take(f"{prefix}dt_proj.bias", e)),
        A_log=A_log,
        D=entries.take(f"{prefix}D", e),
        out_proj=take_linear(entries, f"{prefix}out_proj", e, d),
    )


def mamba_to_entries(prefix, p):
    """Write one Mamba block under the official names."""
    state = {f"{prefix}A_log": p.A_log, f"{prefix}D": p.D}
    state[f"{prefix}conv1d.weight"] = p.conv1d.weight[:, None]
    if p.conv1d.bias is not None:
        state[f"{prefix}conv1d.bias"] = p.conv1d.bias
    for name in ("in_proj", "x_proj", "dt_proj", "out_proj"):
        state |= put_linear(f"{prefix}{name}", getattr(p, name))
    return state


def take_linear(entries, name, d_in, d_out):
    """Read a linear map; PyTorch keeps the transpose."""
    weight = np.ascontiguousarray(entries.take(f"{name}.weight", d_out, d_in).T)
    return LinearParams(weight, entries.take_optional(f"{name}.bias", d_out))


def put_linear(name, p):
    """Write a linear map as PyTorch keeps it."""
    bias = {} if p.bias is None else {f"{name}.bias": p.bias}
    return {f"{name}.weight": p.weight.T, **bias}
