"""For every test: memory that nobody wrote is NaN, so that a result which reads it cannot pass."""

import numpy as np
import pytest
from hypothesis import settings

# The examples are the same in every run: a red test stays red, and CI is not a lottery.
settings.register_profile("minimamba", derandomize=True, deadline=None, database=None)
settings.load_profile("minimamba")


@pytest.fixture(scope="session", autouse=True)
def poisoned_memory():
    """Fill what `numpy.empty` and `numpy.empty_like` return."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", _poisoned(np.empty))
        patch.setattr(np, "empty_like", _poisoned(np.empty_like))
        yield


def _poisoned(allocate):
    """Return `allocate`, followed by a fill with NaN, or with a large number for integers."""

    def poisoned(*args, **kwargs):
        array = allocate(*args, **kwargs)
        if array.dtype.kind in "fc":
            array.fill(np.nan)
        elif array.dtype.kind in "iu":
            array.fill(np.iinfo(array.dtype).max)
        return array

    return poisoned
