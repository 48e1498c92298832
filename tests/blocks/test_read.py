"""A block read at one position of every row equals the block read from the whole, both ways."""

import numpy as np
import pytest

from minimamba.blocks.bidirectional import bidirectional, bidirectional_backward
from minimamba.blocks.echo import echo_block
from minimamba.blocks.mamba import mamba, mamba_backward
from minimamba.blocks.read import (
    GROUP,
    at,
    at_backward,
    bidirectional_read,
    bidirectional_read_backward,
    echo_block_read,
    mamba_last,
    mamba_last_backward,
    read_ends,
    read_last,
)
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.gradcheck import check_adjoint
from minimamba.trees import tree_leaves
from tests.blocks.test_mamba import CLOSE, draw
from tests.models.helpers import random_echo

LENGTHS = np.array([7, 1, 4, 7, 6])
X = np.random.default_rng(0).normal(size=(5, 7, 4))
PARAMS = random_echo(1, length=7, inner=2).layers[0]


@pytest.mark.parametrize("b", [1, GROUP, GROUP + 1, 3 * GROUP - 1])
def test_the_last_position_equals_the_full_pass_forward_and_backward(b):
    x, p = draw(5, b=b, l=7)
    rows, last = np.arange(b), np.random.default_rng(6).integers(0, 7, b)
    y, cache = mamba_last(x, last, p)
    full, _, c_full = mamba(x, p)
    np.testing.assert_allclose(y, full[rows, last], **CLOSE)
    dy, scattered = np.random.default_rng(7).normal(size=y.shape), np.zeros_like(full)
    scattered[rows, last] = dy
    dx, dp = mamba_last_backward(dy, cache)
    dx_full, dp_full, _ = mamba_backward(scattered, None, c_full)
    np.testing.assert_allclose(dx, dx_full, **CLOSE)
    for (path, one), (_, other) in zip(tree_leaves(dp), tree_leaves(dp_full), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11, err_msg=path)


@pytest.mark.parametrize("flip", [flip_window, flip_valid])
def test_reading_one_row_equals_reading_it_from_the_whole(flip):
    row, c_row = bidirectional_read(X, LENGTHS, PARAMS.mixers[0], flip=flip)
    full, c_full = bidirectional(X, LENGTHS, PARAMS.mixers[0], flip=flip)
    np.testing.assert_allclose(row, at(full, LENGTHS - 1), rtol=0, atol=1e-11)
    dy = np.random.default_rng(2).normal(size=row.shape)
    dx, dp = bidirectional_read_backward(dy, c_row, flip)
    dx_full, dp_full = bidirectional_backward(at_backward(dy, LENGTHS - 1, 7), c_full, flip)
    np.testing.assert_allclose(dx, dx_full, rtol=0, atol=1e-11)
    for (path, one), (_, other) in zip(tree_leaves(dp), tree_leaves(dp_full), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-11, err_msg=path)


def test_the_block_read_at_one_row_equals_the_block():
    row, _ = echo_block_read(X, LENGTHS, PARAMS)
    full, _ = echo_block(X, LENGTHS, PARAMS)
    np.testing.assert_allclose(row, at(full, LENGTHS - 1), rtol=0, atol=1e-11)


def test_putting_back_is_the_adjoint_of_reading():
    position = np.array([5, 0, 2, 6, 6])
    dy = np.random.default_rng(1).normal(size=(5, 4))
    check_adjoint(lambda x: at(x, position), lambda dy: at_backward(dy, position, 7), X, dy)


def test_read_outs_are_the_last_item_and_for_the_ends_also_the_first():
    assert [list(p) for p in read_last(LENGTHS)] == [[6, 0, 3, 6, 5], [6, 0, 3, 6, 5]]
    assert [list(p) for p in read_ends(LENGTHS)] == [[6, 0, 3, 6, 5], [0, 0, 0, 0, 0]]
