"""Cases on disk, for authors whose code Python cannot call: write one, run it, compare.

`write_case` makes NAME.npz and NAME.bin with the same arrays; the flat file is for C and CUDA.
Its layout, little-endian: the bytes "MMCASE01"; a 64-bit count; for every array its name (64 bytes,
zero padded), its dtype (16 bytes), its rank and four sizes (64-bit each), the offset of its bytes
from the start of the file and their number (64-bit each); then the bytes, every array starting at
a multiple of 64.
"""

import os
import struct

import numpy as np

from minimamba.errors import InputError
from minimamba.files import load_npz, save_npz, write_atomically
from minimamba.oracle.bound.tolerance import profile, tolerance, unit_roundoff
from minimamba.oracle.cases.draw import draw
from minimamba.oracle.contract.spec import CONTRACTS
from minimamba.oracle.target.discover import capabilities_of
from minimamba.oracle.truth.arithmetic import best, exact, plain

MAGIC, ENTRY = b"MMCASE01", struct.Struct("<64s16s7q")
OPTIONS = "D z delta_bias initial_state delta_softplus bias initial_states activation h0"
EVERYTHING = frozenset((*OPTIONS.split(), "gradients", "state_gradient"))


def write_case(
    path, op="selective_scan", seed=0, dtype="float32", layout="bdl", capabilities=EVERYTHING
):
    """Write inputs, intermediates, outputs, cotangents, gradients and tolerances of one case.

    Parameters
    ----------
    path : str or path
        Without a suffix; `.npz` and `.bin` are added.
    op, seed, layout
        As in `check`; the weights of a block or a model are not written.
    dtype : {"float32", "float64"}
    capabilities : set of str
        Which options the case may use; "always D" makes one certain.

    Returns
    -------
    dict of str to array
        What was written: inputs under their names, `d` names for cotangents and gradients,
        `between.` names for intermediates, `tolerance.` names for outputs and gradients.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     arrays = write_case(folder + "/case")
    ...     report = compare({"out": arrays["out"]}, folder + "/case.npz")
    >>> report["out"] <= 1
    True
    """
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype must be float32 or float64, got {dtype!r}")
    ops = [k for k, contract in CONTRACTS.items() if not contract.mapping]
    if op not in ops:
        raise InputError(f"op must be one of {', '.join(ops)}, got {op!r}")
    wanted = {c.removeprefix("always ") for c in capabilities}
    for name in sorted(wanted - capabilities_of(CONTRACTS[op]) - EVERYTHING):
        raise InputError(f"capabilities: {op} has no {name!r}")
    case = draw(op, (seed, 0), dtype, capabilities)
    res = exact(case.contract.program, **case.arguments())
    between = intermediates(case) if op == "selective_scan" else {}
    tol = tolerance(case.contract.program, profile(dtype), **case.arguments())
    arrays = {k: (x, case.axes[k]) for k, x in case.inputs.items()}
    arrays |= {f"d{k}": (x, case.output_axes(k)) for k, x in case.cotangents.items()}
    for k, x in res.items():
        axes = case.axes[k[1:]] if k[1:] in case.axes else case.output_axes(k)
        arrays |= {k: (x, axes), f"tolerance.{k}": (tol[k], axes)}
    arrays |= {f"between.{k}": (x, axes) for k, (x, axes) in between.items()}
    placed = {k: _store(x, axes, dtype, layout) for k, (x, axes) in arrays.items()}
    placed |= {f"flag.{k}": np.asarray(int(v)) for k, v in case.flags.items()}
    save_npz(f"{os.fspath(path)}.npz", placed)
    write_flat(f"{os.fspath(path)}.bin", placed)
    return placed


class Listening:
    """An arithmetic that keeps what passes through it: values that have a name, and the scans."""

    def __init__(self, arithmetic):
        self.arithmetic, self.named, self.scans = arithmetic, {}, []

    def __getattr__(self, name):
        return getattr(self.arithmetic, name)

    def may_round(self, x, place):
        self.named.setdefault(place, x)
        return x

    def scan(self, a, b, h0, reverse=False):
        h = self.arithmetic.scan(a, b, h0, reverse)
        self.scans.append((a, b, h))
        return h


def intermediates(case):
    """Return delta after bias and softplus, the decays, the drives and every state, Eq. (7.2)."""
    heard = Listening(best())
    exact(case.contract.program, heard, **case.arguments())
    (a, bu, h), *adjoint = heard.scans
    found = {"delta": (heard.named["delta"], "bld")}
    found |= {"a": (a, "bldn"), "b": (bu, "bldn"), "h": (h, "bldn")}
    return found | ({"g": (adjoint[0][2], "bldn")} if adjoint else {})


def _store(x, axes, dtype, layout):
    """Return an array as it is written: time last in layout bdl, rounded to the dtype once."""
    x = np.asarray(x)
    if x.dtype.kind in "iu":
        return x.astype(np.int64)
    x = plain(x) if x.dtype == object else x
    x = np.moveaxis(x, 1, -1) if layout == "bdl" and axes[1:2] == "l" else x
    kind = np.result_type(dtype, np.complex64) if x.dtype.kind == "c" else dtype
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(x.astype(kind))


def write_flat(path, arrays):
    """Write arrays one after the other behind a table of contents; see the top of this file."""
    offset = len(MAGIC) + 8 + ENTRY.size * len(arrays)
    head, body = [MAGIC, struct.pack("<q", len(arrays))], []
    for name, x in arrays.items():
        gap = -offset % 64
        sizes = [*x.shape, *[0] * (4 - x.ndim)]
        numbers = (x.ndim, *sizes, offset + gap, x.nbytes)
        head.append(ENTRY.pack(name.encode(), x.dtype.name.encode(), *numbers))
        body += [b"\0" * gap, x.tobytes()]
        offset += gap + x.nbytes
    write_atomically(path, b"".join(head + body))


def read_flat(path):
    """Return the arrays of a flat file, by name, or say what is wrong with it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if data[:8] != MAGIC or len(data) < 16:
        raise InputError(f"{path} is not a case: it does not start with {MAGIC.decode()}")
    arrays = {}
    for i in range(struct.unpack_from("<q", data, 8)[0]):
        try:
            name, arrays[name] = _entry(data, i)
        except (struct.error, TypeError, ValueError) as error:
            raise InputError(f"{path}, entry {i}: {error}") from error
    return arrays


def _entry(data, i):
    """Return name and array of the i-th entry of a flat file."""
    name, kind, rank, *rest = ENTRY.unpack_from(data, 16 + i * ENTRY.size)
    start, size = rest[4:]
    if start + size > len(data):
        raise ValueError(f"cut off: the file has {len(data)} bytes, {start + size} expected")
    x = np.frombuffer(data[start : start + size], kind.split(b"\0")[0].decode())
    return name.split(b"\0")[0].decode(), x.reshape(rest[:rank])


def read_case(path):
    """Return the arrays of a case written as .npz or .bin."""
    return (load_npz if os.fspath(path).endswith(".npz") else read_flat)(path)


def compare(arrays, path):
    """Return error over tolerance of every array that came back, by name; above 1 is wrong.

    Parameters
    ----------
    arrays : dict of str to array, or path of a .npz or .bin
        Outputs and gradients, under the names and in the layout they have in the case.
    path : str or path
        The case, as `write_case` wrote it.

    Returns
    -------
    dict of str to float
        Infinite for a NaN.
    """
    arrays, case = arrays if isinstance(arrays, dict) else read_case(arrays), read_case(path)
    ratios = {}
    for name, x in arrays.items():
        if f"tolerance.{name}" not in case:
            known = ", ".join(k[10:] for k in case if k.startswith("tolerance."))
            raise InputError(f"{name} is not an output of the case; it has {known}")
        x, want = np.asarray(x), case[name]
        if x.shape != want.shape:
            raise InputError(f"{name} has shape {x.shape}, expected {want.shape}")
        u = unit_roundoff(want.dtype)  # the written truth was rounded once itself
        wide = complex if np.iscomplexobj(want) else float
        with np.errstate(all="ignore"):
            room = case[f"tolerance.{name}"].astype(float) * (1 + 2 * u) + u * np.abs(want)
            ratio = np.abs(x.astype(wide) - want.astype(wide)) / room
        ratio = np.where(np.isfinite(room), np.where(np.isnan(ratio), np.inf, ratio), 0)
        ratios[name] = float(np.max(np.where(x == want, 0, ratio), initial=0.0))
    return ratios
