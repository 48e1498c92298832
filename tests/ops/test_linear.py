"""The linear map."""

import numpy as np
import pytest

from minimamba.ops.linear import LinearParams, linear, linear_backward


def draw(*shape, d_in=3, d_out=4):
    rng = np.random.default_rng(1)
    p = LinearParams(rng.standard_normal((d_in, d_out)), rng.standard_normal(d_out))
    return rng.standard_normal((*shape, d_in)), p


@pytest.mark.parametrize("shape", [(), (2,), (2, 5), (2, 5, 1), (0, 5)])
def test_it_acts_on_the_last_axis_whatever_stands_before_it(shape):
    x, p = draw(*shape)
    y, cache = linear(x, p)
    expected = np.einsum("...i,ij->...j", x, p.weight) + p.bias
    # Sums of three products and a bias, of numbers near 1.
    np.testing.assert_allclose(y, expected, rtol=0, atol=40 * np.finfo(float).eps)
    dx, dp = linear_backward(y, cache)
    assert dx.shape == x.shape and dp.weight.shape == p.weight.shape


def test_a_view_with_other_strides_is_mapped_alike():
    x, p = draw(4, 5)
    turned = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    assert np.array_equal(linear(turned, p)[0], linear(x, p)[0])


def test_no_bias_is_a_bias_of_zero_without_a_gradient():
    x, p = draw(2, 5)
    y, cache = linear(x, p._replace(bias=None))
    assert np.array_equal(y, linear(x, p._replace(bias=np.zeros(4)))[0])
    assert linear_backward(y, cache)[1].bias is None


def test_a_wrong_width_is_named():
    x, p = draw(2)
    with pytest.raises(ValueError, match="x has 2 channels, but the weight takes 3"):
        linear(x[..., :2], p)
