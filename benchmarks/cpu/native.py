"""The C yardstick: `scan.c`, compiled on the spot, called through ctypes."""

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

FLAGS = {"C fast-math": ["-ffast-math"], "C": []}
LIBRARIES = {"C fast-math": ["-lmvec", "-lm"], "C": ["-lm"]}


@cache
def unavailable():
    """Say why there is no C to compare with, or None."""
    if not shutil.which("gcc"):
        return "no gcc"
    try:
        for flavour in FLAGS:
            library(flavour, "float32")
    except (subprocess.CalledProcessError, OSError):
        return "gcc cannot build it here"
    return None


@cache
def library(flavour, real):
    """Compile `scan.c` for "float32" or "float64" and load it.

    Linked without -ffast-math: there it would add code that rounds denormal numbers to zero in the
    whole process, in everything that is measured beside it.
    """
    folder = Path(tempfile.mkdtemp(prefix="minimamba-"))
    source, target = Path(__file__).with_name("scan.c"), folder / "scan.o"
    c_type = {"float32": "float", "float64": "double"}[real]
    flags = ["-O3", "-march=native", "-fPIC", f"-DREAL={c_type}", *FLAGS[flavour]]
    _gcc("-c", *flags, str(source), "-o", str(target))
    _gcc("-shared", str(target), "-o", str(folder / "scan.so"), *LIBRARIES[flavour])
    return ctypes.CDLL(str(folder / "scan.so"))


def _gcc(*arguments):
    subprocess.run(["gcc", *arguments], check=True, capture_output=True)


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
    """Return two calls, forward and forward-backward; inputs in our order."""
    u, A = inputs[0], inputs[2]
    (b, l, e), n = u.shape, A.shape[1]
    lib, sizes = library(flavour, u.dtype.name), (b, l, e, n)
    out, h = np.empty_like(u), np.empty_like(A)
    grads = [np.empty_like(x) for x in inputs]
    scratch = [np.empty((l + 1, e, n), u.dtype), np.empty((l, e, n), u.dtype), np.empty_like(A)]

    def forward():
        call(lib.forward, (*inputs, out, h), sizes)
        return out

    def both():
        forward()
        call(lib.backward, (*inputs, dy, *grads, *scratch), sizes)
        return out, grads

    return forward, both
