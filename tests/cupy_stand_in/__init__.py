"""CuPy without a GPU, as far as this project uses it: arrays of their own type, in NumPy's memory.

It is strict where CuPy is: host and device arrays do not mix, nothing is converted by itself, and a
function or keyword that CuPy 14 does not have is not here either (`names`). Kernels run in the
emulator, tests/emulator. `device` counts waits and launches, and lets an allocation fail.

Not modelled: rounding, speed, streams, several devices, the order of sums and atomics; indices out
of range, which CuPy wraps around silently, are an IndexError. Types follow NumPy 2, as CuPy 14 says
of itself.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np

from tests.cupy_stand_in import array, names
from tests.cupy_stand_in.array import cupy, device, ndarray
from tests.emulator import Emulator

__all__ = ["CUDARuntimeError", "OutOfMemoryError", "cupy", "cupyx", "device", "install"]
cupyx = ModuleType("cupyx")


class OutOfMemoryError(MemoryError):
    """As CuPy words it."""

    __module__ = "cupy.cuda.memory"

    def __init__(self, size):
        super().__init__(f"Out of memory allocating {size:,} bytes (allocated so far: 512 bytes).")


class CUDARuntimeError(RuntimeError):
    """What a failing driver raises."""

    __module__ = "cupy_backends.cuda.api.runtime"


class RawModule:
    """Compiles with g++ in place of NVRTC, when a kernel is first asked for."""

    def __init__(self, *, code, options=()):
        assert isinstance(options, tuple) and "--std=c++17" in options
        self.code, self.options = code, options

    def get_function(self, name):
        kernel = Emulator()(self.code, self.options).get_function(name)

        def launch(grid, block, args):
            device.launches[name] += 1
            kernel(grid, block, tuple(map(argument, args)))

        return launch


def argument(x):
    """Return a kernel's argument as the emulator wants it; an integer zero is a null pointer."""
    if isinstance(x, ndarray):
        return x._host
    if not isinstance(x, np.generic):
        raise TypeError(f"Unsupported type {type(x)}")
    return None if isinstance(x, np.intp) and x == 0 else x


def asarray(a, dtype=None, order=None, *, copy=None, blocking=False):
    """Copy to the device what is not there."""
    if isinstance(a, ndarray):
        return a if dtype in (None, a.dtype) else a.astype(dtype)
    return ndarray(np.array(a, dtype=dtype))


def scatter_add(a, slices, value):
    """Add to a, also where an index comes again."""
    if a.dtype.kind == "c":
        raise TypeError("scatter_add only supports real numbers")
    np.add.at(a._host, array.index_of(slices), array.to_host(value))


def install(patch):
    """Put the stand-in where `import cupy` finds it; `patch` is pytest's monkeypatch."""
    patch.setitem(sys.modules, "cupy", cupy)
    patch.setitem(sys.modules, "cupyx", cupyx)
    return cupy


def functions(module, table):
    """Return {name: NumPy's function of that name, for device arrays}."""
    return {
        name: array.checked(name, known, lambda *a, name=name, **k: getattr(module, name)(*a, **k))
        for name, known in table.items()
    }


def runtime():
    """Return what is asked of CUDA's run-time library."""
    return SimpleNamespace(
        memGetInfo=lambda: (device.memory // 4, device.memory),
        getDeviceProperties=lambda number: {"name": b"A stand-in"},
        driverGetVersion=lambda: 13020,
    )


def fill():
    """Give the modules what they have."""
    ufuncs = dict.fromkeys(names.UFUNCS.split(), "x1 x2 out dtype casting")
    vars(cupy).update(functions(np, ufuncs) | functions(np, names.FUNCTIONS))
    vars(cupy).update({name: getattr(np, name) for name in names.OF_THE_HOST.split()})
    cupy.__version__ = "14 (a stand-in)"
    cupy.absolute, cupy.divide = cupy.abs, cupy.true_divide
    cupy.einsum = lambda *a: array.to_device(np.einsum(*map(array.to_host, a)))
    cupy.result_type = lambda *a: np.result_type(*map(array.to_host, a))
    cupy.fft = SimpleNamespace(**functions(np.fft, names.TRANSFORMS))
    cupy.linalg = SimpleNamespace(**functions(np.linalg, names.SOLVERS))
    cupy.ndarray, cupy.asarray, cupy.RawModule = ndarray, asarray, RawModule
    cupy.asnumpy = lambda a: a.get() if isinstance(a, ndarray) else np.asarray(a)
    cupy.get_default_memory_pool = lambda: SimpleNamespace(free_bytes=lambda: 1 << 20)
    memory = SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    cupy.cuda = SimpleNamespace(
        is_available=lambda: True, Device=lambda: device, memory=memory, runtime=runtime()
    )
    cupyx.scatter_add = scatter_add


fill()
