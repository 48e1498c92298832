"""The C yardstick: `scan.c`, compiled on the spot, called through ctypes."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

FLAGS = {"C fast-math": ["-ffast-math", "-lmvec"], "C": []}


def unavailable():
    """Say why there is no C to compare with, or None."""
    return None if shutil.which("gcc") else "no gcc"


@cache
def library(flavour, real):
    """Compile `scan.c` for "float32" or "float64" and load it."""
    source = Path(__file__).with_name("scan.c")
    target = Path(tempfile.mkdtemp(prefix="minimamba-")) / "scan.so"
    c_type = {"float32": "float", "float64": "double"}[real]
    flags = ["-O3", "-march=native", "-shared", "-fPIC", f"-DREAL={c_type}"]
    extra = FLAGS[flavour]
    subprocess.run(["gcc", *flags, str(source), "-o", str(target), *extra, "-lm"], check=True)
    return ctypes.CDLL(str(target))


def call(function, arrays, sizes):
    """Call a C function with pointers to contiguous arrays, then sizes."""
    pointers = [ctypes.c_void_p(x.ctypes.data) for x in arrays]
    function(*pointers, *[ctypes.c_long(size) for size in sizes])


def recurrence(flavour, a, b):
    """Return a call that runs the recurrence over axis 0 of (l, s) arrays."""
    h, function = np.empty_like(b), library(flavour, b.dtype.name).recurrence

    def run():
        call(function, (a, b, h), b.shape)
        return h

    return run


def selective_scan(flavour, inputs, dy):
    """Return two calls, forward and forward-backward; inputs in the order of `scan.c`."""
    u, A = inputs[0], inputs[3]
    (b, l, e), n = u.shape, A.shape[1]
    lib, sizes = library(flavour, u.dtype.name), (b, l, e, n)
    out, h = np.empty_like(u), np.empty_like(A)
    grads = [np.empty_like(inputs[i]) for i in (0, 1, 2, 3, 4, 5, 6, 7)]
    scratch = [np.empty((l + 1, e, n), u.dtype), np.empty((l, e, n), u.dtype), np.empty_like(A)]

    def forward():
        call(lib.forward, (*inputs, out, h), sizes)
        return out

    def both():
        forward()
        call(lib.backward, (*inputs, dy, *grads, *scratch), sizes)
        return out, grads

    return forward, both
