"""The EchoMamba4Rec block: spectral filter, Mamba in both directions, gated linear unit."""

from typing import NamedTuple

from minimamba.blocks.bidirectional import (
    BidirectionalCache,
    BidirectionalParams,
    bidirectional,
    bidirectional_backward,
)
from minimamba.blocks.residual import (
    ResidualNormCache,
    dropped_residual_norm,
    dropped_residual_norm_backward,
    residual_norm,
    residual_norm_backward,
)
from minimamba.blocks.sequence import flip_window
from minimamba.ops.glu import GLUCache, GLUParams, glu, glu_backward
from minimamba.ops.norm import NormParams
from minimamba.ops.spectral import (
    CirculantCache,
    DenseCache,
    FilterParams,
    FourierCache,
    spectral_filter,
    spectral_filter_backward,
)


class EchoBlockParams(NamedTuple):
    """Weights of one block."""

    filter: FilterParams  # (f, d)
    filter_norm: NormParams
    mixers: tuple[BidirectionalParams, ...]
    glu: GLUParams
    glu_norm: NormParams


class EchoBlockCache(NamedTuple):
    """What `echo_block_backward` needs."""

    filter: DenseCache | FourierCache | CirculantCache
    filter_norm: ResidualNormCache
    mixers: tuple[BidirectionalCache, ...]
    glu: GLUCache
    glu_norm: ResidualNormCache


def echo_block(x, lengths, p, rate=0.0, rng=None, flip=flip_window):
    """Filter, mix in both directions and gate a sequence, Eq. (11.13).

    Arguments as for `bidirectional`, x and y of shape (b, l, d).
    There is no step: the filter and the anticausal branch need the whole sequence.
    Official: class MambaLayer of the released model of arXiv 2406.02638, (b, l, d) as here, its
    filter (1, f, d, 2); docs/fidelity.md lists where paper and release differ.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> p = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4, state=2))
    >>> echo_block(np.ones((2, 5, 4)), np.array([5, 2]), p.layers[0])[0].shape
    (2, 5, 4)
    """
    x, *c_first = filter_and_mix(x, lengths, p, p.mixers, rate, rng, flip)
    x, *c_gate = gate(x, p, rate, rng)
    return x, EchoBlockCache(*c_first, *c_gate)


def echo_block_backward(dy, cache, flip=flip_window):
    """Pull dy back to (dx, dp), Eq. (11.13). `flip` as forward."""
    dx, glu_params, glu_norm = gate_backward(dy, cache)
    dx, *first = filter_and_mix_backward(dx, cache, flip)
    return dx, EchoBlockParams(*first, glu_params, glu_norm)


def filter_and_mix(x, lengths, p, mixers, rate, rng, flip):
    """Run the first half of the block with these mixers: (y, three fields of its cache)."""
    y, c_filter = spectral_filter(x, p.filter)
    x, c_norm = residual_norm(y, x, p.filter_norm, rate, rng)
    c_mixers = []
    for mixer in mixers:
        x, c_mixer = bidirectional(x, lengths, mixer, rate, rng, flip)
        c_mixers.append(c_mixer)
    return x, c_filter, c_norm, tuple(c_mixers)


def filter_and_mix_backward(dx, cache, flip):
    """Pull dx back through the first half: (dx, filter, filter_norm, mixers)."""
    mixers = ()
    for c_mixer in reversed(cache.mixers):
        dx, mixer = bidirectional_backward(dx, c_mixer, flip)
        mixers = (mixer, *mixers)
    dy, dx_residual, filter_norm = residual_norm_backward(dx, cache.filter_norm)
    dx_filter, filter_params = spectral_filter_backward(dy, cache.filter)
    return dx_residual + dx_filter, filter_params, filter_norm, mixers


def gate(x, p, rate, rng):
    """Run the second half of the block: (y, two fields of its cache)."""
    y, c_glu = glu(x, p.glu)
    y, c_norm = dropped_residual_norm(y, x, p.glu_norm, rate, rng)
    return y, c_glu, c_norm


def gate_backward(dy, cache):
    """Pull dy back through the second half: (dx, glu, glu_norm)."""
    dy, dx_residual, glu_norm = dropped_residual_norm_backward(dy, cache.glu_norm)
    dx_glu, glu_params = glu_backward(dy, cache.glu)
    return dx_residual + dx_glu, glu_params, glu_norm
