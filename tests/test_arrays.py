"""Which module an array belongs to, also when there is no CuPy to try it with."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from minimamba.arrays import (
    array_namespace,
    check_indices,
    from_host,
    sum_rows,
    to_floats,
    to_host,
)
from tests import cupy_stand_in


@pytest.fixture
def cupy(monkeypatch):
    """Put the stand-in where `import cupy` finds it."""
    return cupy_stand_in.install(monkeypatch)


def test_numpy_arrays_belong_to_numpy_and_numbers_to_no_one():
    assert array_namespace(np.ones(2), None, 1.5, np.float32(2)) is np
    assert array_namespace(None, 3) is np


def test_asking_does_not_import_cupy(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    array_namespace(np.ones(2))
    assert "cupy" not in sys.modules


def test_cupy_arrays_belong_to_cupy(cupy):
    assert array_namespace(cupy.ones(3), None, 2.0) is cupy
    assert array_namespace(np.ones(2)) is np


@pytest.mark.parametrize("order", [1, -1])
def test_a_mixture_is_refused_with_the_way_out(cupy, order):
    with pytest.raises(TypeError, match=r"NumPy and CuPy arrays mixed: .*to_host"):
        array_namespace(*[np.ones(2), cupy.ones(2)][::order])


@pytest.mark.parametrize("other", [[1.0], "x", object()])
def test_what_is_no_array_is_named(other):
    with pytest.raises(TypeError, match=f"NumPy or CuPy arrays, got {type(other).__name__}"):
        array_namespace(np.ones(2), other)


def test_arrays_travel_only_when_they_must(cupy):
    x = np.ones(3)
    assert to_host(x) is x and from_host(x, like=x) is x
    assert np.array_equal(to_host(cupy.arange(3)), np.arange(3))
    there = from_host(x, like=cupy.ones(2))
    assert isinstance(there, cupy.ndarray) and from_host(there, like=cupy.ones(2)) is there


def test_several_numbers_come_home_in_one_wait(cupy):
    numbers = cupy.asarray(np.float32([0.5, 2.5]))
    with cupy_stand_in.device.counted() as waits:
        assert to_floats(numbers.sum(), numbers.max()) == [3.0, 2.5]
    assert waits == {"get": 1}


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


def test_rows_are_summed_on_the_device_too(cupy):
    rows, index = np.float64([[1.0], [2.0], [4.0]]), np.array([2, 0, 2])
    summed = sum_rows(cupy.asarray(rows), cupy.asarray(index), 3)
    assert to_host(summed).tolist() == [[2.0], [0.0], [5.0]]


MAY_IMPORT_NUMPY = ("recurrence.py",)  # it counts in an object array, which only NumPy has


def test_no_op_imports_numpy():
    for path in Path("minimamba/ops").glob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        names = {alias.name for node in imports for alias in node.names}
        names |= {getattr(node, "module", None) for node in imports}
        assert "numpy" not in names or path.name in MAY_IMPORT_NUMPY, path


def test_indices_of_nothing_are_always_good():
    check_indices("ids", np.zeros(0, int), 0)
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.2, got values from 3 to 3"):
        check_indices("ids", np.array([3]), 3)
