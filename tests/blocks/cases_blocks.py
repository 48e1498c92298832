"""Cases of the blocks, and of the closed form that they stand on."""

from functools import partial

import numpy as np

from minimamba.blocks.bidirectional import (
    BidirectionalParams,
    bidirectional,
    bidirectional_backward,
)
from minimamba.blocks.echo import (
    EchoBlockParams,
    echo_block,
    echo_block_backward,
)
from minimamba.blocks.mamba import MambaParams, MambaState, mamba, mamba_backward
from minimamba.blocks.read import (
    bidirectional_read,
    bidirectional_read_backward,
    echo_block_read,
    echo_block_read_backward,
    mamba_last,
    mamba_last_backward,
    read_ends,
)
from minimamba.blocks.residual import (
    dropped_residual_norm,
    dropped_residual_norm_backward,
    residual_norm,
    residual_norm_backward,
)
from minimamba.blocks.sequence import flip_valid
from minimamba.ops.conv import ConvParams
from minimamba.ops.glu import GLUParams
from minimamba.ops.linear import LinearParams
from minimamba.ops.norm import NormParams
from minimamba.ops.selective.last import selective_scan_last, selective_scan_last_backward
from minimamba.ops.spectral import FilterParams
from tests.cases import Case, normal

EPS = 1e-5


def affine(rng, d_in, d_out):
    return LinearParams(0.5 * normal(rng, d_in, d_out), normal(rng, d_out))


def norm(rng, d):
    return NormParams(1 + 0.1 * normal(rng, d), normal(rng, d))


def mamba_params(rng, s):
    return MambaParams(
        in_proj=affine(rng, s.d, 2 * s.e),
        conv1d=ConvParams(normal(rng, s.e, s.k), normal(rng, s.e)),
        x_proj=affine(rng, s.e, s.r + 2 * s.n),
        dt_proj=affine(rng, s.r, s.e),
        A_log=normal(rng, s.e, s.n),
        D=normal(rng, s.e),
        out_proj=affine(rng, s.e, s.d),
    )


def mixer_params(rng, s):
    return BidirectionalParams(
        mamba_params(rng, s), norm(rng, s.d), mamba_params(rng, s), norm(rng, s.d)
    )


def block_params(rng, s):
    f = s.l // 2 + 1
    return EchoBlockParams(
        filter=FilterParams(normal(rng, f, s.d), normal(rng, f, s.d)),
        filter_norm=norm(rng, s.d),
        mixers=(mixer_params(rng, s), mixer_params(rng, s)),
        glu=GLUParams(affine(rng, s.d, 2 * s.d), affine(rng, s.d, s.d)),
        glu_norm=norm(rng, s.d),
    )


def last_of(x):
    """Return a position for every row: the last, the first, ..."""
    return (x.shape[1] - 1) * np.arange(1, len(x) + 1) % x.shape[1]


def lengths_of(x):
    return last_of(x) + 1


def draw_last(rng, s):
    b, l, e, n = s.b, s.l, s.e, s.n
    u, delta = normal(rng, b, l, e), normal(rng, b, l, e)
    A, B, C = -np.exp(normal(rng, e, n)), normal(rng, b, l, n), normal(rng, b, n)
    return u, delta, A, B, C, normal(rng, e), normal(rng, b, e), normal(rng, e)


def scan_last(u, delta, A, B, C, D, z, delta_bias):
    return selective_scan_last(u, delta, A, B, C, last_of(u), D, z, delta_bias, True)


def draw_mamba(rng, s):
    state = MambaState(normal(rng, s.b, s.k - 1, s.e), normal(rng, s.b, s.e, s.n))
    return normal(rng, s.b, s.l, s.d), mamba_params(rng, s), state


def with_width(params):
    """Draw a sequence of four channels or more: the norm of one is constant, of two a sign."""

    def draw(rng, s):
        s = s._replace(d=s.d + 3)
        return normal(rng, s.b, s.l, s.d), params(rng, s)

    return draw


def draw_residual(rng, s):
    d = s.d + 3
    return normal(rng, s.b, s.l, d), normal(rng, s.b, s.l, d), norm(rng, d)


def normed(op):
    return lambda y, x, p: op(y, x, p, 0.4, np.random.default_rng(0), EPS)


CASES = [
    Case("selective_scan_last", scan_last, selective_scan_last_backward, draw_last),
    Case("mamba", mamba, mamba_backward, draw_mamba, (0, 2)),
    Case(
        "mamba_last",
        lambda x, p: mamba_last(x, last_of(x), p),
        mamba_last_backward,
        with_width(mamba_params),
    ),
    Case("residual_norm", normed(residual_norm), residual_norm_backward, draw_residual),
    Case(
        "dropped_residual_norm",
        normed(dropped_residual_norm),
        dropped_residual_norm_backward,
        draw_residual,
    ),
    Case(
        "bidirectional",
        lambda x, p: bidirectional(x, lengths_of(x), p),
        bidirectional_backward,
        with_width(mixer_params),
    ),
    Case(
        "bidirectional_read",
        lambda x, p: bidirectional_read(x, lengths_of(x), p, flip=flip_valid, read=read_ends),
        partial(bidirectional_read_backward, flip=flip_valid, read=read_ends),
        with_width(mixer_params),
    ),
    Case(
        "echo_block",
        lambda x, p: echo_block(x, lengths_of(x), p, flip=flip_valid),
        partial(echo_block_backward, flip=flip_valid),
        with_width(block_params),
    ),
    Case(
        "echo_block_read",
        lambda x, p: echo_block_read(x, lengths_of(x), p),
        echo_block_read_backward,
        with_width(block_params),
    ),
]
