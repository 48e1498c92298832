"""The EchoMamba4Rec block: spectral filter, Mamba in both directions, gated linear unit."""

from typing import NamedTuple

from minimamba.blocks.bidirectional import (
    BidirectionalParams,
    bidirectional,
    bidirectional_backward,
    bidirectional_read,
    bidirectional_read_backward,
)
from minimamba.blocks.residual import (
    dropped_residual_norm,
    dropped_residual_norm_backward,
    residual_norm,
    residual_norm_backward,
)
from minimamba.blocks.sequence import flip_window, read_last
from minimamba.ops.glu import GLUParams, glu, glu_backward
from minimamba.ops.norm import NormParams
from minimamba.ops.spectral import FilterParams, spectral_filter, spectral_filter_backward


class EchoBlockParams(NamedTuple):
    """Weights of one block."""

    filter: FilterParams  # (f, d)
    filter_norm: NormParams
    mixers: tuple[BidirectionalParams, ...]
    glu: GLUParams
    glu_norm: NormParams


class EchoBlockCache(NamedTuple):
    """What either backward needs."""

    filter: object
    filter_norm: object
    mixers: tuple
    glu: object
    glu_norm: object


def echo_block(x, lengths, p, rate=0.0, rng=None, flip=flip_window):
    """Filter, mix in both directions and gate a sequence, Eq. (11.13).

    Parameters
    ----------
    x : array, shape (b, l, d)
    lengths : int array, shape (b,)
        Number of items in each right-padded row.
    p : EchoBlockParams
    rate, rng : float, numpy.random.Generator or None
        Dropout; rng None means evaluation.
    flip : callable
        `flip_window` (as released) or `flip_valid`.

    Returns
    -------
    y : array, shape (b, l, d)
    cache : EchoBlockCache

    Notes
    -----
    There is no step: the filter and the anticausal branch need the whole sequence.
    Source: arXiv 2406.02638 and its released model; docs/fidelity.md lists where they differ.

    Examples
    --------
    >>> import numpy as np
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> echo_block(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0])[0].shape
    (2, 5, 4)
    """
    x, *c_first = _filter_and_mix(x, lengths, p, p.mixers, rate, rng, flip)
    x, *c_gate = _gate(x, p, rate, rng)
    return x, EchoBlockCache(*c_first, *c_gate)


def echo_block_backward(dy, cache):
    """Pull dy back to (dx, dp), Eq. (11.13)."""
    dx, glu_params, glu_norm = _gate_backward(dy, cache)
    return _filter_and_mix_backward(dx, cache, cache.mixers, (), glu_params, glu_norm)


def echo_block_read(x, lengths, p, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Run the block where only the read-out is needed, Eq. (11.14): (b, l, d) to (b, d).

    The last mixer, the gated linear unit and the norms see one row per sequence.

    Parameters
    ----------
    x, lengths, p, rate, rng, flip
        As for `echo_block`.
    read : callable
        `read_last` (as released) or `read_ends`.

    Examples
    --------
    >>> import numpy as np
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> echo_block_read(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0])[0].shape
    (2, 4)
    """
    x, c_filter, c_norm, c_mixers = _filter_and_mix(x, lengths, p, p.mixers[:-1], rate, rng, flip)
    row, c_read = bidirectional_read(x, lengths, p.mixers[-1], rate, rng, flip, read)
    row, *c_gate = _gate(row, p, rate, rng)
    return row, EchoBlockCache(c_filter, c_norm, (*c_mixers, c_read), *c_gate)


def echo_block_read_backward(dy, cache):
    """Pull dy, shape (b, d), back to (dx, dp), Eq. (11.13)."""
    drow, glu_params, glu_norm = _gate_backward(dy, cache)
    dx, last = bidirectional_read_backward(drow, cache.mixers[-1])
    return _filter_and_mix_backward(dx, cache, cache.mixers[:-1], (last,), glu_params, glu_norm)


def _filter_and_mix(x, lengths, p, mixers, rate, rng, flip):
    y, c_filter = spectral_filter(x, p.filter)
    x, c_norm = residual_norm(y, x, p.filter_norm, rate, rng)
    c_mixers = []
    for mixer in mixers:
        x, c_mixer = bidirectional(x, lengths, mixer, rate, rng, flip)
        c_mixers.append(c_mixer)
    return x, c_filter, c_norm, tuple(c_mixers)


def _filter_and_mix_backward(dx, cache, mixer_caches, later, glu_params, glu_norm):
    mixers = later
    for c_mixer in reversed(mixer_caches):
        dx, mixer = bidirectional_backward(dx, c_mixer)
        mixers = (mixer, *mixers)
    dy, dx_residual, filter_norm = residual_norm_backward(dx, cache.filter_norm)
    dx_filter, filter_params = spectral_filter_backward(dy, cache.filter)
    dp = EchoBlockParams(filter_params, filter_norm, mixers, glu_params, glu_norm)
    return dx_residual + dx_filter, dp


def _gate(x, p, rate, rng):
    y, c_glu = glu(x, p.glu)
    y, c_norm = dropped_residual_norm(y, x, p.glu_norm, rate, rng)
    return y, c_glu, c_norm


def _gate_backward(dy, cache):
    dy, dx_residual, glu_norm = dropped_residual_norm_backward(dy, cache.glu_norm)
    dx_glu, glu_params = glu_backward(dy, cache.glu)
    return dx_residual + dx_glu, glu_params, glu_norm
