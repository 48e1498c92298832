"""Two Mamba blocks, one in each direction of time, each with its residual norm, summed."""

from typing import NamedTuple

from minimamba.arrays import Array
from minimamba.blocks.mamba import MambaCache, MambaParams, mamba, mamba_backward
from minimamba.blocks.residual import ResidualNormCache, residual_norm, residual_norm_backward
from minimamba.blocks.sequence import flip_window
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

    causal: MambaCache
    causal_norm: ResidualNormCache
    anticausal: MambaCache
    anticausal_norm: ResidualNormCache
    lengths: Array  # (b,)


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
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> bidirectional(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0].mixers[0])[0].shape
    (2, 5, 4)
    """
    y, _, c_causal = mamba(x, p.causal)
    y, c_causal_norm = residual_norm(y, x, p.causal_norm, rate, rng, EPS)
    w, _, c_anti = mamba(flip(x, lengths), p.anticausal)
    w, c_anti_norm = residual_norm(flip(w, lengths), x, p.anticausal_norm, rate, rng, EPS)
    return y + w, BidirectionalCache(c_causal, c_causal_norm, c_anti, c_anti_norm, lengths)


def bidirectional_backward(dy, cache, flip=flip_window):
    """Pull dy back to (dx, dp), Eq. (11.10a): x is used four times. `flip` as forward."""
    c = cache
    dw, dx_w, anticausal_norm = residual_norm_backward(dy, c.anticausal_norm)
    dx_anti, anticausal, _ = mamba_backward(flip(dw, c.lengths), None, c.anticausal)
    dy, dx_y, causal_norm = residual_norm_backward(dy, c.causal_norm)
    dx_causal, causal, _ = mamba_backward(dy, None, c.causal)
    dx = dx_y + dx_causal + dx_w + flip(dx_anti, c.lengths)
    return dx, BidirectionalParams(causal, causal_norm, anticausal, anticausal_norm)
