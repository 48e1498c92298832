"""SciPy computes the same matrix exponential and the same zero-order hold."""

import numpy as np
import pytest

from minimamba.ops.discretize_dense import bilinear_dense, matrix_exp, zoh_dense
from minimamba.ops.hippo import hippo_legs

linalg = pytest.importorskip("scipy.linalg", reason="the extra `peers` has SciPy")
signal = pytest.importorskip("scipy.signal", reason="the extra `peers` has SciPy")
pytestmark = pytest.mark.peers


@pytest.mark.parametrize("scale", [1e-10, 1e-3, 1, 10, 100])
@pytest.mark.parametrize("n", [1, 2, 6, 20])
def test_matrix_exponential(scale, n):
    X = scale * np.random.default_rng(n).standard_normal((n, n)) / np.sqrt(n)
    theirs = linalg.expm(X)
    # two backward stable algorithms: errors of some 10 n roundings in X each
    room = 100 * n * (1 + np.linalg.norm(X)) * 2.0**-53
    assert np.linalg.norm(matrix_exp(X) - theirs) <= room * np.linalg.norm(theirs)


@pytest.mark.parametrize("ours, name", [(zoh_dense, "zoh"), (bilinear_dense, "bilinear")])
def test_discretization_of_legs(ours, name):
    A, B = hippo_legs(8)
    A_bar, B_bar, _ = ours(0.05, A, B)
    theirs = signal.cont2discrete((A, B, np.ones((1, 8)), np.zeros((1, 1))), 0.05, name)
    room = 1000 * (1 + 0.05 * np.linalg.norm(A)) * 2.0**-53
    assert np.abs(A_bar - theirs[0]).max() <= room * np.abs(A_bar).max()
    assert np.abs(B_bar - theirs[1]).max() <= room * np.abs(B_bar).max()
