"""Where the kernels run: `--device gpu` runs on CuPy arrays what the emulator runs by default.

The tests that ask for `machine` or `cupy` can do both. On a GPU the others are left out, and of
several orders of the warps all but the first, for a GPU has its own.
"""

from importlib import import_module

import pytest

from tests import emulator
from tests.cupy_stand_in.array import device
from tests.kernels import gpu_stand_in
from tests.kernels.machine import Emulated, Gpu


def pytest_addoption(parser):
    parser.addoption("--device", choices=("emulator", "gpu"), default="emulator")


def on_gpu(config):
    """Say whether a GPU was asked for; the option is not there when this file came late."""
    return config.getoption("--device", "emulator") == "gpu"


def pytest_ignore_collect(collection_path, config):
    """Leave out what needs a package for numbers of 16 bits that a GPU does without."""
    return True if on_gpu(config) and collection_path.name == "test_bfloat16.py" else None


def pytest_collection_modifyitems(config, items):
    if not on_gpu(config):
        return
    kept = [item for item in items if runs_on_a_gpu(item)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def runs_on_a_gpu(item):
    """Say whether a test can, and is not the same again under another order."""
    order = getattr(item, "callspec", None) and item.callspec.params.get("order", 0)
    return {"machine", "cupy"} & {*item.fixturenames} and not order


@pytest.fixture(autouse=True, scope="session")
def compiler(pytestconfig):
    """Fail, not skip, where there is no C++ compiler: then nothing here would be checked."""
    if not on_gpu(pytestconfig) and (reason := emulator.missing()):
        pytest.fail(reason)


@pytest.fixture
def machine(pytestconfig):
    """Return what places arrays, and the context that kernels run in."""
    return Gpu() if on_gpu(pytestconfig) else Emulated()


@pytest.fixture
def cupy(pytestconfig, monkeypatch):
    """Return CuPy, or its stand-in where `import cupy` finds it; its launches count from zero."""
    device.launches.clear()
    if on_gpu(pytestconfig):
        return import_module("cupy")
    return gpu_stand_in.install(monkeypatch)


@pytest.fixture(autouse=True)
def poisoned_outputs(pytestconfig, monkeypatch):
    """Let a GPU's new arrays start as NaN, as NumPy's do: a number nobody wrote is seen."""
    if not on_gpu(pytestconfig):
        return
    import cupy

    for name in ("empty", "empty_like"):
        monkeypatch.setattr(cupy, name, poisoned(getattr(cupy, name)))


def poisoned(allocate):
    """Return `allocate`, followed by NaN; the bits of a 16-bit NaN where integers are asked for."""

    def new(*args, **kwargs):
        x = allocate(*args, **kwargs)
        if x.dtype.kind in "fc":
            x.fill(float("nan"))
        elif x.dtype == "uint16":
            x.fill(0x7FFF)
        return x

    return new
