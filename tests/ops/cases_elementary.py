"""Cases of the elementary ops."""

from functools import partial

import numpy as np

from minimamba.gradcheck import central_difference
from minimamba.ops.conv import (
    ConvParams,
    causal_conv1d,
    causal_conv1d_backward,
)
from minimamba.ops.dropout import dropout, dropout_backward
from minimamba.ops.elementwise import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softplus,
    softplus_backward,
)
from minimamba.ops.embedding import embedding, embedding_backward
from minimamba.ops.glu import GLUParams, glu, glu_backward
from minimamba.ops.linear import LinearParams, linear, linear_backward
from minimamba.ops.loss import (
    bpr,
    bpr_backward,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from minimamba.ops.norm import (
    NormParams,
    RMSNormParams,
    layer_norm,
    layer_norm_backward,
    rms_norm,
    rms_norm_backward,
)
from minimamba.ops.spectral import (
    FilterParams,
    causal_filter,
    causal_filter_backward,
    circulant,
    fourier,
    spectral_filter,
    spectral_filter_backward,
)
from tests.cases import Case, normal

# With the usual eps = 1e-5 and two channels, a layer norm is nearly constant: its gradient is what
# cancellation leaves. The laws are about formulas, so they take an eps that conditions them well.
EPS = 0.25


def elementwise(name, op, backward):
    """Return the case of a function of one array; three times the normal spread, to reach tails."""
    return Case(name, op, backward, lambda rng, s: (3 * normal(rng, s.b, s.l, s.d),), batched=(0,))


def draw_linear(rng, s, bias=True):
    p = LinearParams(normal(rng, s.d, s.e), normal(rng, s.e) if bias else None)
    return normal(rng, s.b, s.l, s.d), p


def draw_conv(rng, s):
    p = ConvParams(normal(rng, s.e, s.k), normal(rng, s.e))
    return normal(rng, s.b, s.l, s.e), p, normal(rng, s.b, s.k - 1, s.e)


def draw_glu(rng, s):
    fc1 = LinearParams(normal(rng, s.d, 2 * s.d), normal(rng, 2 * s.d))
    fc2 = LinearParams(normal(rng, s.d, s.d), normal(rng, s.d))
    return normal(rng, s.b, s.l, s.d), GLUParams(fc1, fc2)


def draw_filter(rng, s):
    f = s.l // 2 + 1
    return normal(rng, s.b, s.l, s.d), FilterParams(normal(rng, f, s.d), normal(rng, f, s.d))


def some_ids(weight):
    """Return ids (2, 5) with repetitions, and with 0, whatever the size of the table."""
    return (np.arange(10).reshape(2, 5) * 3) % len(weight)


def some_target(logits):
    """Return one target for every row."""
    b, v = logits.shape
    return (5 * np.arange(b) + 1) % v


CASES = [
    elementwise("sigmoid", sigmoid, sigmoid_backward),
    elementwise("silu", silu, silu_backward),
    elementwise("softplus", softplus, softplus_backward),
    elementwise("gelu", gelu, gelu_backward),
    elementwise("gelu_tanh", gelu_tanh, gelu_tanh_backward),
    Case("linear", linear, linear_backward, draw_linear, batched=(0,)),
    Case(
        "linear",  # without a bias
        linear,
        linear_backward,
        lambda rng, s: draw_linear(rng, s, bias=False),
        batched=(0,),
    ),
    Case(
        "layer_norm",
        lambda x, p: layer_norm(x, p, EPS),
        layer_norm_backward,
        lambda rng, s: (normal(rng, s.b, s.l, s.d), NormParams(*normal(rng, 2, s.d))),
        batched=(0,),
    ),
    Case(
        "rms_norm",
        lambda x, p: rms_norm(x, p, EPS),
        rms_norm_backward,
        lambda rng, s: (normal(rng, s.b, s.l, s.d), RMSNormParams(normal(rng, s.d))),
        batched=(0,),
    ),
    Case(
        "dropout",
        lambda x: dropout(x, 0.4, np.random.default_rng(0)),
        dropout_backward,
        lambda rng, s: (normal(rng, s.b, s.l, s.d),),
    ),
    Case(
        "embedding",
        lambda weight: embedding(some_ids(weight), weight),
        embedding_backward,
        lambda rng, s: (normal(rng, s.v, s.d),),
    ),
    Case("causal_conv1d", causal_conv1d, causal_conv1d_backward, draw_conv, batched=(0, 2)),
    Case(
        "causal_conv1d",  # from no state, without a bias, and with no gradient of the last state
        lambda x, weight: causal_conv1d(x, ConvParams(weight, None))[::2],
        lambda dy, cache: (
            (grads := causal_conv1d_backward(dy, None, cache))[0],
            grads[1].weight,
        ),
        lambda rng, s: (normal(rng, s.b, s.l, s.e), normal(rng, s.e, s.k)),
        batched=(0,),
    ),
    Case("glu", glu, glu_backward, draw_glu, batched=(0,)),
    Case("spectral_filter", spectral_filter, spectral_filter_backward, draw_filter, batched=(0,)),
    Case(
        "spectral_filter",  # of windows long enough for the fast transform
        spectral_filter,
        spectral_filter_backward,
        lambda rng, s: draw_filter(rng, s._replace(l=50 + s.l)),
        batched=(0,),
    ),
    *(
        Case(
            "spectral_filter",  # by the other ways, which take no complex numbers
            way,
            spectral_filter_backward,
            draw_filter,
            batched=(0,),
            tangent=partial(central_difference, step=1.0),  # exact: bilinear in x and p
        )
        for way in (fourier, circulant)
    ),
    Case(
        "causal_filter",
        causal_filter,
        causal_filter_backward,
        lambda rng, s: (
            normal(rng, s.b, s.l, s.d),
            normal(rng, s.k, s.d),
            normal(rng, s.b, s.k - 1, s.d),
        ),
        batched=(0, 2),
    ),
    Case(
        "softmax_cross_entropy",
        lambda logits: softmax_cross_entropy(logits, some_target(logits)),
        softmax_cross_entropy_backward,
        lambda rng, s: (normal(rng, s.b, s.v),),
    ),
    Case("bpr", bpr, bpr_backward, lambda rng, s: tuple(normal(rng, 2, s.b, s.v))),
]
