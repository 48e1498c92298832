"""Which module an array belongs to, also when there is no CuPy to try it with."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from minimamba.arrays import (
    array_namespace,
    check_indices,
    from_host,
    gpu_unavailable,
    sum_rows,
    to_host,
)


class GPUArray:
    """Stands in for cupy.ndarray."""

    def get(self):
        return np.arange(3)


@pytest.fixture
def cupy(monkeypatch):
    """Put a module that looks like CuPy where `import cupy` finds it."""
    module = ModuleType("cupy")
    module.ndarray = GPUArray
    module.asarray = lambda x: GPUArray()
    module.arange = np.arange
    module.cuda = SimpleNamespace(is_available=lambda: True)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_numpy_arrays_belong_to_numpy_and_numbers_to_no_one():
    assert array_namespace(np.ones(2), None, 1.5, np.float32(2)) is np
    assert array_namespace(None, 3) is np


def test_asking_does_not_import_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    array_namespace(np.ones(2))
    assert "cupy" not in sys.modules


def test_cupy_arrays_belong_to_cupy(cupy):
    assert array_namespace(GPUArray(), None, 2.0) is cupy
    assert array_namespace(np.ones(2)) is np


@pytest.mark.parametrize("order", [1, -1])
def test_a_mixture_is_refused_with_the_way_out(cupy, order):
    with pytest.raises(TypeError, match=r"NumPy and CuPy arrays mixed: .*to_host"):
        array_namespace(*[np.ones(2), GPUArray()][::order])


@pytest.mark.parametrize("other", [[1.0], "x", object()])
def test_what_is_no_array_is_named(other):
    with pytest.raises(TypeError, match=f"NumPy or CuPy arrays, got {type(other).__name__}"):
        array_namespace(np.ones(2), other)


def test_arrays_travel_only_when_they_must(cupy):
    x = np.ones(3)
    assert to_host(x) is x and from_host(x, like=x) is x
    assert np.array_equal(to_host(GPUArray()), np.arange(3))
    assert isinstance(from_host(x, like=GPUArray()), GPUArray)


def test_a_usable_gpu_has_no_reason_against_it(cupy):
    assert gpu_unavailable() is None


def test_every_way_to_have_no_gpu_has_its_sentence(cupy, monkeypatch):
    def no_compiler(n):
        raise RuntimeError("libnvrtc is missing\nsecond line")

    cupy.arange = no_compiler
    assert gpu_unavailable() == "CuPy cannot run a kernel: libnvrtc is missing"
    cupy.cuda.is_available = lambda: False
    assert gpu_unavailable() == "CuPy finds no CUDA device: is an NVIDIA driver installed?"
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes `import cupy` fail
    assert gpu_unavailable().startswith("CuPy is not installed: pip install")


def test_rows_are_summed_where_their_index_says():
    rows = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    index = np.arange(40) * 7 % 11
    expected = np.zeros((12, 3), np.float32)
    for row, i in zip(rows, index, strict=True):
        expected[i] += row
    summed = sum_rows(rows, index, 12)
    assert summed.dtype == np.float32
    # Four terms, summed in float32 on one side: four roundings at no more than 8.
    np.testing.assert_allclose(summed, expected, rtol=0, atol=4 * 8 * 6e-8)


def test_indices_of_nothing_are_always_good():
    check_indices("ids", np.zeros(0, int), 0)
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.2, got values from 3 to 3"):
        check_indices("ids", np.array([3]), 3)
