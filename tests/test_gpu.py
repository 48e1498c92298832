"""What is said about a GPU: which, or why there is none, and what went wrong."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from minimamba import gpu
from tests import cupy_stand_in


@pytest.fixture
def cupy(monkeypatch):
    """Put the stand-in where `import cupy` finds it, to be spoilt by the test."""
    cupy_stand_in.install(monkeypatch)
    spoilt = SimpleNamespace(**vars(cupy_stand_in.cupy))
    spoilt.cuda = SimpleNamespace(**vars(spoilt.cuda))
    monkeypatch.setitem(sys.modules, "cupy", spoilt)
    return spoilt


def test_a_usable_gpu_has_no_reason_against_it_and_a_name(cupy):
    assert gpu.unavailable() is None
    assert gpu.describe().startswith("A stand-in, sm_90, 0.2 of 1.0 GiB free, driver for CUDA 13.2")


def test_every_way_to_have_no_gpu_has_its_sentence(cupy, monkeypatch):
    def failing(message):
        def arange(n):
            raise RuntimeError(message)

        return arange

    cupy.arange = failing('Failure finding "libnvrtc.so.13": No such file\nsecond line')
    assert gpu.unavailable() == (
        "CuPy finds no NVRTC, its compiler; pip install 'minimamba-reference[gpu-cuda13]' (or "
        'gpu-cuda12) brings it (Failure finding "libnvrtc.so.13": No such file)'
    )
    cupy.arange = failing("an illegal instruction\nsecond line")
    assert gpu.unavailable() == "CuPy cannot run a kernel: an illegal instruction"
    cupy.cuda.is_available = lambda: False
    assert gpu.unavailable() == "CuPy finds no CUDA device: is an NVIDIA driver installed?"
    monkeypatch.setitem(sys.modules, "cupy", None)  # makes `import cupy` fail
    assert gpu.unavailable().startswith("CuPy is not installed: pip install")


@pytest.mark.skipif(gpu.unavailable() is None, reason="there is a GPU here")
def test_gpu_check_says_in_one_sentence_why_it_cannot_run(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "gpu-check", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gpu-check cannot run: ") and done.stderr.count("\n") == 1
