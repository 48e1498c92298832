"""The stand-in for CuPy refuses what CuPy refuses, counts waits, and has nothing CuPy has not."""

import inspect
import re
from importlib.util import find_spec

import numpy as np
import pytest

from tests import cupy_stand_in
from tests.cupy_stand_in import CUDARuntimeError, OutOfMemoryError, cupy, device, names


@pytest.fixture
def x():
    return cupy.asarray(np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize(
    "mixed",
    [
        lambda x: np.asarray(x),
        lambda x: x + np.ones(3),
        lambda x: np.ones(3) * x,
        lambda x: x @ np.ones(3),
        lambda x: np.add(x, np.ones(3)),
        lambda x: cupy.concatenate([x, np.ones((2, 3))]),
        lambda x: cupy.where(np.ones((2, 3), bool), x, 0),
        lambda x: np.ones((2, 3)).__setitem__(0, x[0]),
        lambda x: np.linalg.norm(x),
        lambda x: range(x[0, 0].astype("int64")),
    ],
)
def test_host_and_device_do_not_mix(x, mixed):
    with pytest.raises(TypeError):
        mixed(x)


def test_a_host_array_may_be_an_index_but_not_what_is_written(x):
    rows = np.array([1])
    assert x[rows].tolist() == [[3.0, 4.0, 5.0]]
    x[rows] = x[:1]
    with pytest.raises(ValueError, match="cannot be used for fill"):
        x[0] = np.ones(3)


def test_what_cupy_leaves_open_is_refused(x):
    with pytest.raises(AssertionError, match="written twice"):
        x[np.array([0, 0])] = cupy.ones((2, 3))


def test_numpys_own_functions_go_to_the_device_where_cupys_do(x):
    assert isinstance(np.exp(x), cupy.ndarray) and np.shape(x) == (2, 3)
    assert isinstance(np.float32(2) * x, cupy.ndarray)


@pytest.mark.parametrize(
    "absent",
    [
        lambda x: cupy.block([[x]]),
        lambda x: cupy.errstate(),
        lambda x: x.max(initial=0),
        lambda x: cupy.exp(x, where=x > 0),
        lambda x: x.ctypes,
        lambda x: x.searchsorted(1),
    ],
)
def test_what_cupy_has_not_or_we_do_not_use_is_absent(x, absent):
    with pytest.raises((AttributeError, TypeError)):
        absent(x)


@pytest.mark.parametrize(
    "waiting,cause",
    [
        (lambda x: x.get(), "get"),
        (lambda x: float(x.sum()), "get"),
        (lambda x: int(x.max()), "get"),
        (lambda x: bool(x.any()), "get"),
        (lambda x: x[0, 0].item(), "get"),
        (lambda x: x.tolist(), "get"),
        (lambda x: f"{x.sum():.3f}", "get"),
        (lambda x: cupy.asnumpy(x), "get"),
        (lambda x: x[x > 2], "mask"),
        (lambda x: x.__setitem__(x > 2, 0), "mask"),
        (lambda x: cupy.nonzero(x), "nonzero"),
        (lambda x: x.nonzero(), "nonzero"),
    ],
)
def test_waits_are_counted_by_cause(x, waiting, cause):
    with device.counted() as waits:
        waiting(x)
    assert waits == {cause: 1}


def test_computing_does_not_wait(x):
    with device.counted() as waits:
        y = cupy.where(x > 2, x, 0)
        y[:, 1] += 2 * y[:, 0].sum() - cupy.exp(x[np.array([0, 1]), 2])
        cupy.einsum("ij,kj->ik", y, x).T.reshape(-1)
    assert not waits


def test_an_allocation_fails_when_it_is_told_to():
    refused = pytest.raises(OutOfMemoryError, match="allocating 800 bytes")
    with refused, device.failing(OutOfMemoryError, after=2):
        kept = [cupy.zeros(1), cupy.zeros(1)]
        kept.append(cupy.zeros(100))
    assert len(kept) == 2
    with pytest.raises(CUDARuntimeError), device.failing(CUDARuntimeError, after=0):
        cupy.zeros(1)
    cupy.zeros(1)


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
def test_every_name_and_parameter_is_cupys():
    import cupy as real

    assert all(isinstance(getattr(real, name), real.ufunc | type(real.matmul)) for name in ufuncs())
    assert all(hasattr(real, name) for name in names.OF_THE_HOST.split())
    of_arrays = [*names.ATTRIBUTES.split(), *names.UNARY, *names.COMPARED]
    of_arrays += [f"__{side}{name}__" for name in names.BINARY for side in ("", "r", "i")]
    assert all(hasattr(real.ndarray, name) for name in of_arrays)
    for owner, table in [
        (real, names.FUNCTIONS),
        (real.fft, names.TRANSFORMS),
        (real.linalg, names.SOLVERS),
        (real.ndarray, names.METHODS),
    ]:
        for name, parameters in table.items():
            assert parameters_of(getattr(owner, name)) == parameters.split(), name


def ufuncs():
    return names.UFUNCS.split()


def parameters_of(function):
    """Return the names of a function's parameters; a compiled one has them in its docstring."""
    try:
        found = list(inspect.signature(function).parameters)
    except ValueError:
        line = function.__doc__.splitlines()[0]
        inside = re.search(r"\((.*?)\)", line)[1].split(",")
        found = [re.split("[=]", part)[0].split()[-1] for part in inside if part.strip()]
    return [name for name in found if name not in ("self", "*", "/")]


def test_the_stand_in_takes_cupys_place(monkeypatch):
    cupy_stand_in.install(monkeypatch)
    import cupy as found

    assert found is cupy and found.cuda.is_available()
