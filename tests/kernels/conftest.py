"""What every kernel test needs: a compiler, and outputs that start as NaN."""

import numpy as np
import pytest

from tests.kernels import emulator


@pytest.fixture(autouse=True, scope="session")
def compiler():
    """Fail, not skip, where there is no C++ compiler: then nothing here would be checked."""
    if reason := emulator.missing():
        pytest.fail(reason)


@pytest.fixture(autouse=True)
def poisoned_outputs(monkeypatch):
    """Let every array from numpy.empty start as NaN, so that a number nobody wrote is seen."""
    empty, empty_like = np.empty, np.empty_like

    def poison(x):
        if x.dtype.kind in "fc":
            x.fill(np.nan)
        elif x.dtype == np.uint16:
            x.fill(0x7FFF)  # NaN as bfloat16
        return x

    monkeypatch.setattr(np, "empty", lambda *a, **k: poison(empty(*a, **k)))
    monkeypatch.setattr(np, "empty_like", lambda *a, **k: poison(empty_like(*a, **k)))
