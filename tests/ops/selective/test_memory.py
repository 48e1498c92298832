"""Where work arrays begin, and that broadcasting is put back as it was."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minimamba.ops.selective.memory import (
    BUFFER,
    LINE,
    PAGE,
    aligned_empty,
    padded,
    room,
    short_buffers,
    split,
)

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


@given(size=st.integers(1, 2**19), dtype=st.sampled_from(DTYPES))
@settings(max_examples=40)
def test_an_array_begins_at_a_line_and_a_large_one_at_a_huge_page(size, dtype):
    x = aligned_empty(np, size, dtype)
    assert x.shape == (size,) and x.dtype == dtype and x.flags.writeable
    assert x.ctypes.data % (PAGE if x.nbytes >= PAGE // 2 else LINE) == 0
    assert x.base is None or x.base.nbytes <= room(x.nbytes)[0]


def test_numpy_asks_for_huge_pages_where_an_array_is_large():
    """From 4 MiB on, says NumPy's allocator; wherever they begin, there is one whole page."""
    assert room(PAGE // 2)[0] >= 4 << 20
    assert room(PAGE // 2)[0] >= 2 * PAGE
    assert room(PAGE // 2 - 1)[0] < PAGE


@pytest.mark.parametrize("dtype", DTYPES)
def test_parts_begin_at_lines_and_do_not_overlap(dtype):
    sizes = [320, 315, 1, 0, 63]
    assert padded([320], dtype) == 320  # whole lines already
    parts = split(aligned_empty(np, padded(sizes, dtype), dtype), sizes)
    for i, part in enumerate(parts):
        part[...] = i
    assert [part.size for part in parts] == sizes
    assert all((part == i).all() for i, part in enumerate(parts))
    assert all(part.ctypes.data % LINE == 0 for part in parts if part.size)


def test_buffers_are_short_inside_and_as_before_outside_even_after_an_error():
    default = np.setbufsize(4096)
    try:
        with pytest.raises(ZeroDivisionError), short_buffers(np):
            assert np.getbufsize() == BUFFER
            raise ZeroDivisionError
        assert np.getbufsize() == 4096
    finally:
        np.setbufsize(default)


def test_another_namespace_is_left_alone():
    other, before = SimpleNamespace(empty=lambda size, dtype: (size, dtype)), np.getbufsize()
    with short_buffers(other):
        assert aligned_empty(other, 3, "float32") == (3, "float32")
        assert np.getbufsize() == before
