"""Arrays as a kernel can read them."""

import numpy as np

from minimamba.kernels.compile import as_pointer


def test_pointers_are_contiguous_and_aligned():
    x = np.arange(9, dtype=np.float32)
    for view in (x[1:], x[::2], x.astype(np.float64)[:4]):
        ready = as_pointer(view, np, np.float32)
        assert ready.flags.c_contiguous and ready.ctypes.data % 16 == 0
        np.testing.assert_array_equal(ready, view)
    assert as_pointer(None, np) is None
