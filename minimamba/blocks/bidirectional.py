"""Two Mamba blocks, one in each direction of time, each with its residual norm, summed."""

from typing import NamedTuple

from minimamba.arrays import Array, array_namespace
from minimamba.blocks.mamba import MambaParams, mamba, mamba_backward
from minimamba.blocks.mamba_last import mamba_last, mamba_last_backward
from minimamba.blocks.residual import residual_norm, residual_norm_backward
from minimamba.blocks.sequence import at, at_backward, flip_window, read_last
from minimamba.ops.norm import NormParams

EPS = 1e-5  # of the branches' norms in the release; its other norms have 1e-12


class BidirectionalParams(NamedTuple):
    """Weights of both branches."""

    causal: MambaParams
    causal_norm: NormParams
    anticausal: MambaParams
    anticausal_norm: NormParams


class BidirectionalCache(NamedTuple):
    """What `bidirectional_backward` needs."""

    causal: object
    causal_norm: object
    anticausal: object
    anticausal_norm: object
    lengths: Array  # (b,)
    flip: object


class BidirectionalReadCache(NamedTuple):
    """What `bidirectional_read_backward` needs."""

    causal: object
    causal_norm: object
    anticausal: object
    anticausal_norm: object
    lengths: Array  # (b,)
    flip: object
    positions: tuple  # of causal and anticausal position, (b,) each
    length: int


def bidirectional(x, lengths, p, rate=0.0, rng=None, flip=flip_window):
    """Return the sum of a causal and an anticausal branch, Eq. (11.10).

    Each branch is layer_norm(x + dropout(mamba(x))), the anticausal one on the flipped sequence
    and flipped back.

    Parameters
    ----------
    x : array, shape (b, l, d)
    lengths : int array, shape (b,)
        Number of items in each right-padded row.
    p : BidirectionalParams
    rate, rng : float, numpy.random.Generator or None
    flip : callable
        `flip_window` (as released, padding included) or `flip_valid`.

    Returns
    -------
    y : array, shape (b, l, d)
    cache : BidirectionalCache

    Notes
    -----
    Source: the released EchoMamba4Rec model, class BiMambaLayer.

    Examples
    --------
    >>> import numpy as np
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> bidirectional(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0].mixers[0])[0].shape
    (2, 5, 4)
    """
    y, _, c_causal = mamba(x, p.causal)
    y, c_causal_norm = residual_norm(y, x, p.causal_norm, rate, rng, EPS)
    w, _, c_anti = mamba(flip(x, lengths), p.anticausal)
    w, c_anti_norm = residual_norm(flip(w, lengths), x, p.anticausal_norm, rate, rng, EPS)
    return y + w, BidirectionalCache(c_causal, c_causal_norm, c_anti, c_anti_norm, lengths, flip)


def bidirectional_backward(dy, cache):
    """Pull dy back to (dx, dp), Eq. (11.10a): x is used four times."""
    c = cache
    dw, dx_w, anticausal_norm = residual_norm_backward(dy, c.anticausal_norm)
    dx_anti, anticausal, _ = mamba_backward(c.flip(dw, c.lengths), None, c.anticausal)
    dy, dx_y, causal_norm = residual_norm_backward(dy, c.causal_norm)
    dx_causal, causal, _ = mamba_backward(dy, None, c.causal)
    dx = dx_y + dx_causal + dx_w + c.flip(dx_anti, c.lengths)
    return dx, BidirectionalParams(causal, causal_norm, anticausal, anticausal_norm)


def bidirectional_read(x, lengths, p, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Return the sum of the two branches, each at the one position where it is read.

    With `read_last` this is `bidirectional` at the last item, Eq. (11.10) with Eq. (7.11).

    Parameters
    ----------
    x, lengths, p, rate, rng, flip
        As for `bidirectional`.
    read : callable
        `read_last` (as released) or `read_ends`: lengths to the two positions.

    Returns
    -------
    y : array, shape (b, d)
    cache : BidirectionalReadCache

    Examples
    --------
    >>> import numpy as np
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> x, lengths = np.random.default_rng(1).normal(size=(2, 5, 4)), np.array([5, 2])
    >>> row, _ = bidirectional_read(x, lengths, p.layers[0].mixers[0])
    >>> full, _ = bidirectional(x, lengths, p.layers[0].mixers[0])
    >>> bool(np.allclose(row, full[[0, 1], lengths - 1], rtol=0, atol=1e-14))
    True
    """
    t, s = read(lengths)
    y, c_causal = mamba_last(x, t, p.causal)
    y, c_causal_norm = residual_norm(y, at(x, t), p.causal_norm, rate, rng, EPS)
    w, c_anti = mamba_last(flip(x, lengths), _flipped(s, lengths, x, flip), p.anticausal)
    w, c_anti_norm = residual_norm(w, at(x, s), p.anticausal_norm, rate, rng, EPS)
    return y + w, BidirectionalReadCache(
        c_causal, c_causal_norm, c_anti, c_anti_norm, lengths, flip, (t, s), x.shape[1]
    )


def bidirectional_read_backward(dy, cache):
    """Pull dy, shape (b, d), back to (dx, dp), Eq. (11.10)."""
    dx_causal, causal, causal_norm = causal_read_backward(dy, cache)
    dx_anti, anticausal, anticausal_norm = anticausal_read_backward(dy, cache)
    dp = BidirectionalParams(causal, causal_norm, anticausal, anticausal_norm)
    return dx_causal + dx_anti, dp


def causal_read_backward(dy, cache):
    """Pull dy back through the causal branch alone: (dx, dp of its Mamba, dp of its norm)."""
    c = cache
    dy, dx_row, norm = residual_norm_backward(dy, c.causal_norm)
    dx, causal = mamba_last_backward(dy, c.causal)
    return dx + at_backward(dx_row, c.positions[0], c.length), causal, norm


def anticausal_read_backward(dy, cache):
    """Pull dy back through the anticausal branch alone: (dx, dp of its Mamba, dp of its norm)."""
    c = cache
    dy, dx_row, norm = residual_norm_backward(dy, c.anticausal_norm)
    dx, anticausal = mamba_last_backward(dy, c.anticausal)
    dx = c.flip(dx, c.lengths) + at_backward(dx_row, c.positions[1], c.length)
    return dx, anticausal, norm


def _flipped(position, lengths, x, flip):
    """Say where each position lands when the sequence is flipped."""
    xp = array_namespace(position)  # the host, if the lengths are there: no wait for a GPU
    index = xp.broadcast_to(xp.arange(x.shape[1]), x.shape[:2])
    return at(flip(index, lengths), position)
