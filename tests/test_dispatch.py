"""The door between ops and kernels: who goes through. With kernels behind it: tests/kernels."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minimamba.dispatch import KERNELS, dispatch, settings, using
from minimamba.kernels.selective import KernelCache
from tests.emulator import Emulator


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
    made = KernelCache(None, None, None, None)
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


def test_an_environment_variable_switches_kernels_off_for_a_process():
    code = (
        "import pytest, tests.kernels.test_dispatch as t; from tests import cupy_stand_in as s;"
        "place = s.install(pytest.MonkeyPatch()).asarray;"
        "print(any(t.made_by_kernels(t.run_everything(place)[1])), len(s.device.launches))"
    )
    root = Path(__file__).parents[1]
    for value, printed in [("0", "False 0"), ("1", "True 5")]:
        environment = os.environ | {"MINIMAMBA_KERNELS": value, "PYTHONPATH": str(root)}
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == printed
