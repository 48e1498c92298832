"""The lookup and its scatter-add."""

import numpy as np
import pytest

from minimamba.gradcheck import check_adjoint
from minimamba.ops.embedding import embedding, embedding_backward

IDS = np.array([[3, 0, 3], [1, 3, 0]])


def draw(*shape):
    return np.random.default_rng(5).standard_normal(shape)


def test_the_scatter_add_is_the_adjoint_of_the_lookup():
    weight, dy = draw(6, 4), draw(2, 3, 4)
    _, cache = embedding(IDS, weight)
    check_adjoint(
        lambda w: embedding(IDS, w)[0], lambda dy: embedding_backward(dy, cache), weight, dy
    )


def test_the_scatter_add_sums_every_use_of_a_row():
    dy = draw(2, 3, 4)
    expected = np.zeros((6, 4))
    np.add.at(expected, IDS, dy)
    _, cache = embedding(IDS, draw(6, 4))
    # Three terms at most in a sum.
    np.testing.assert_allclose(embedding_backward(dy, cache), expected, rtol=0, atol=2e-15)


def test_padding_is_looked_up_but_its_row_does_not_learn():
    weight, dy = draw(6, 4), np.ones((2, 3, 4))
    y, cache = embedding(IDS, weight, padding=0)
    dweight = embedding_backward(dy, cache)
    assert np.array_equal(y[0, 1], weight[0])
    assert (dweight[0] == 0).all() and (dweight[3] == 3).all() and (dweight[1] == 1).all()


def test_small_integer_types_do_not_overflow_on_the_way_back():
    ids = np.array([[120, 3]], np.int8)
    _, cache = embedding(ids, draw(127, 50))
    dweight = embedding_backward(np.ones((1, 2, 50)), cache)
    assert (dweight[[120, 3]] == 1).all() and dweight.sum() == 100


def test_no_ids_are_no_rows_and_no_gradient():
    y, cache = embedding(np.zeros((2, 0), int), draw(6, 4))
    assert y.shape == (2, 0, 4) and not embedding_backward(y, cache).any()


@pytest.mark.parametrize("ids", [[0, 6], [-1, 2]])
def test_an_id_without_a_row_is_refused(ids):
    with pytest.raises(ValueError, match=r"ids must lie in 0\.\.5, got values from"):
        embedding(np.array(ids), draw(6, 4))


def test_ids_that_are_no_integers_are_refused():
    with pytest.raises(TypeError, match="ids must be integers, got dtype float64"):
        embedding(np.array([1.0]), draw(6, 4))
