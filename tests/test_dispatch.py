"""The door between ops and kernels: who goes through. With kernels behind it: tests/kernels."""

import subprocess
import sys

import numpy as np
import pytest

from minimamba.dispatch import KERNELS, dispatch, settings, using
from minimamba.kernels.selective import KernelCache
from tests.kernels.emulator import Emulator


def test_numpy_arrays_never_take_a_kernel():
    for op in KERNELS:
        assert dispatch(op, np.ones(3, np.float32)) is None


def test_arrays_of_the_loader_take_one_in_float32_only_and_only_when_enabled():
    x = np.ones(3, np.float32)
    with using(loader=Emulator()):
        for op, (module, name) in KERNELS.items():
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
    before = settings()
    with pytest.raises(ZeroDivisionError), using(enabled=False):
        raise ZeroDivisionError
    assert settings() == before


def test_importing_the_kernels_does_not_import_cupy():
    code = (
        "import sys, minimamba.dispatch, minimamba.kernels.selective, "
        "minimamba.kernels.scan, minimamba.kernels.conv; assert 'cupy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
