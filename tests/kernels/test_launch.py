"""The door between ops and kernels: who goes through, and what is said without a GPU."""

import subprocess
import sys

import numpy as np
import pytest

from minimamba.arrays import gpu_unavailable
from minimamba.kernels import launch
from minimamba.kernels.launch import dispatch, using
from minimamba.kernels.selective_launch import KernelCache
from tests.kernels.emulator import Emulator


def test_numpy_arrays_never_take_a_kernel():
    for op in launch.KERNELS:
        assert dispatch(op, np.ones(3, np.float32)) is None


def test_arrays_of_the_loader_take_one_in_float32_only_and_only_when_enabled():
    x = np.ones(3, np.float32)
    with using(loader=Emulator()):
        for op, (module, name) in launch.KERNELS.items():
            kernel = dispatch(op, x)
            assert (kernel.__module__, kernel.__name__) == (module, name)
            assert dispatch(op, x.astype(np.float64)) is None
            with using(enabled=False):
                assert dispatch(op, x) is None


def test_a_cache_goes_back_to_where_it_was_made():
    made = KernelCache(None, None, None)
    with using(enabled=False):
        assert dispatch("selective_scan_backward", made) is not None
    with using(loader=Emulator()):
        assert dispatch("selective_scan_backward", (1, 2)) is None


def test_settings_are_restored_after_an_error():
    before = launch.settings()
    with pytest.raises(ZeroDivisionError), using(enabled=False):
        raise ZeroDivisionError
    assert launch.settings() == before


def test_importing_the_kernels_does_not_import_cupy():
    code = (
        "import sys, minimamba.kernels.launch, minimamba.kernels.selective, "
        "minimamba.kernels.scan, minimamba.kernels.conv; assert 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pointers_are_contiguous_and_aligned():
    x = np.arange(9, dtype=np.float32)
    for view in (x[1:], x[::2], x.astype(np.float64)[:4]):
        ready = launch.as_pointer(view, np, np.float32)
        assert ready.flags.c_contiguous and ready.ctypes.data % 16 == 0
        np.testing.assert_array_equal(ready, view)
    assert launch.as_pointer(None, np) is None


@pytest.mark.skipif(gpu_unavailable() is None, reason="there is a GPU here")
def test_gpu_check_says_in_one_sentence_why_it_cannot_run(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu.check", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu-check cannot run: ") and done.stderr.count("\n") == 1
