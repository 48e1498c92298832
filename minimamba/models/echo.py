"""EchoMamba4Rec: from a sequence of items to a score for every item, forward and backward."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from minimamba.arrays import Array
from minimamba.blocks.bidirectional import BidirectionalParams
from minimamba.blocks.echo import (
    EchoBlockCache,
    EchoBlockParams,
    echo_block,
    echo_block_backward,
)
from minimamba.blocks.init import delta_released, init_mamba, normal_linear
from minimamba.blocks.read import (
    EchoReadCache,
    echo_block_read,
    echo_block_read_backward,
    read_last,
)
from minimamba.blocks.sequence import flip_window
from minimamba.ops.dropout import dropout, dropout_backward
from minimamba.ops.embedding import EmbeddingCache, embedding, embedding_backward
from minimamba.ops.glu import GLUParams
from minimamba.ops.loss import (
    CrossEntropyCache,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from minimamba.ops.norm import NormCache, NormParams, layer_norm, layer_norm_backward
from minimamba.ops.spectral import FilterParams

EPS = 1e-12  # of the norm after the embedding, as released


class EchoParams(NamedTuple):
    """All weights. The table also scores the items; its row 0 belongs to the padding."""

    item_embedding: Array  # (v, d)
    norm: NormParams
    layers: tuple[EchoBlockParams, ...]


class EchoEncodeCache(NamedTuple):
    """What `echo_encode_backward` needs."""

    embedding: EmbeddingCache
    dropout: Array | None  # the mask, (b, l, d); None where nothing is dropped
    norm: NormCache
    layers: tuple[EchoBlockCache | EchoReadCache, ...]  # the last one is read


class EchoLossCache(NamedTuple):
    """What `echo_loss_backward` needs."""

    encode: EchoEncodeCache
    row: Array  # (b, d)
    item_embedding: Array  # (v, d)
    loss: CrossEntropyCache


@dataclass(frozen=True)
class EchoConfig:
    """Sizes of an EchoMamba4Rec; the defaults are the released ones.

    `outer` blocks each hold one filter, `inner` pairs of Mamba and one gated linear unit. The
    release's `num_layers` sets both.
    """

    items: int  # without the padding item 0; the table has items + 1 rows
    length: int = 50  # of the window, fixed by the filter
    width: int = 64
    state: int = 32
    conv: int = 4
    expand: int = 2
    outer: int = 1
    inner: int = 1

    def __post_init__(self):
        for name, value in vars(self).items():
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} is {value!r}, expected a positive whole number")


def init_echo(rng, config, init=delta_released):
    """Draw all weights in float64.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : EchoConfig
    init : callable
        `delta_released` (every step size begins at 0.69) or `delta_log_uniform` (log-uniform in
        0.001..0.1), of `minimamba.blocks.init`.

    Returns
    -------
    EchoParams

    Notes
    -----
    Table, linear layers and filter are N(0, 0.02), biases 0, norms 1 and 0. As in the release the
    padding's row is drawn like any other. Source: the released model's `_init_weights`.

    Examples
    --------
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=100, length=50))
    >>> params.item_embedding.shape, params.layers[0].filter.re.shape
    ((101, 64), (26, 64))
    """
    table = rng.normal(0, 0.02, (config.items + 1, config.width))
    layers = tuple(_init_block(rng, config, init) for _ in range(config.outer))
    return EchoParams(table, _init_norm(config.width), layers)


def echo_encode(item_seq, lengths, params, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Return the vector that is compared with every item, Eq. (11.14).

    Parameters
    ----------
    item_seq : int array, shape (b, l)
        Item numbers 1..v-1, padded on the right with 0 to the length the filter was made for.
    lengths : int array, shape (b,)
        Number of items in each row, at least 1. It and the items may stay on the host beside CuPy
        weights: then nothing waits for the GPU.
    params : EchoParams
    rate, rng : float, numpy.random.Generator or None
        Dropout; rng None means evaluation.
    flip : callable
        `flip_window` (as released) or `flip_valid`.
    read : callable
        `read_last` (as released) or `read_ends`.

    Returns
    -------
    row : array, shape (b, d)
    cache : EchoEncodeCache

    """
    _check(item_seq, lengths)
    x, c_embedding = embedding(item_seq, params.item_embedding, padding=0)
    x, c_dropout = dropout(x, rate, rng)
    x, c_norm = layer_norm(x, params.norm, EPS)
    row, c_layers = echo_layers(x, lengths, params.layers, rate, rng, flip, read)
    return row, EchoEncodeCache(c_embedding, c_dropout, c_norm, c_layers)


def echo_encode_backward(drow, cache, flip=flip_window, read=read_last):
    """Pull drow, shape (b, d), back to an EchoParams, Eq. (11.14).

    `item_embedding` holds what came through the look-up only. `flip` and `read` as forward.
    """
    dx, layers = echo_layers_backward(drow, cache.layers, flip, read)
    dx, norm = layer_norm_backward(dx, cache.norm)
    dx = dropout_backward(dx, cache.dropout)
    return EchoParams(embedding_backward(dx, cache.embedding), norm, layers)


def echo_layers(x, lengths, layers, rate=0.0, rng=None, flip=flip_window, read=read_last):
    """Run every block, the last one only where it is read, Eq. (11.13): (b, l, d) to (b, d).

    `x` holds the looked-up embeddings after their norm, `layers` a tuple of EchoBlockParams.
    """
    caches = []
    for layer in layers[:-1]:
        x, cache = echo_block(x, lengths, layer, rate, rng, flip)
        caches.append(cache)
    row, cache = echo_block_read(x, lengths, layers[-1], rate, rng, flip, read)
    return row, (*caches, cache)


def echo_layers_backward(drow, caches, flip=flip_window, read=read_last):
    """Pull drow, shape (b, d), back to (dx, layers), Eq. (11.13). `flip` and `read` as forward."""
    *earlier, last = caches
    dx, layer = echo_block_read_backward(drow, last, flip, read)
    layers = (layer,)
    for cache in reversed(earlier):
        dx, layer = echo_block_backward(dx, cache, flip)
        layers = (layer, *layers)
    return dx, layers


def echo_scores(item_seq, lengths, params, flip=flip_window, read=read_last):
    """Score every item as the next one, Eq. (11.14): the row times the tied table, (b, v).

    Column 0 is the padding item; whoever ranks leaves it out. Arguments as for `echo_encode`.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> echo_scores(np.array([[3, 1, 4, 0, 0]]), np.array([3]), params).shape
    (1, 10)
    """
    row, _ = echo_encode(item_seq, lengths, params, flip=flip, read=read)
    return row @ params.item_embedding.T


def echo_loss(
    item_seq, lengths, target, params, rate=0.0, rng=None, flip=flip_window, read=read_last
):
    """Return the mean cross entropy of the next item, Eq. (11.15), over all v columns.

    `target`, shape (b,), is the item that came next; the rest as for `echo_encode`. As in the
    release the softmax runs over the padding's column too, though it is never a target.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> item_seq, lengths, target = np.array([[3, 1, 4, 0, 0]]), np.array([3]), np.array([5])
    >>> loss, cache = echo_loss(item_seq, lengths, target, params)
    >>> echo_loss_backward(1.0, cache).item_embedding.shape
    (10, 4)
    """
    row, c_encode = echo_encode(item_seq, lengths, params, rate, rng, flip, read)
    loss, c_loss = softmax_cross_entropy(row @ params.item_embedding.T, target)
    return loss, EchoLossCache(c_encode, row, params.item_embedding, c_loss)


def echo_loss_backward(dloss, cache, flip=flip_window, read=read_last):
    """Return the gradient of the loss for every weight, Eq. (11.16): an EchoParams.

    The table is used twice, to look up and to score, so its gradient has two terms. `flip` and
    `read` are those of `echo_loss`.
    """
    dlogits = softmax_cross_entropy_backward(dloss, cache.loss)
    grads = echo_encode_backward(dlogits @ cache.item_embedding, cache.encode, flip, read)
    return grads._replace(item_embedding=grads.item_embedding + dlogits.T @ cache.row)


def _check(item_seq, lengths):
    if item_seq.ndim != 2 or lengths.shape != item_seq.shape[:1]:
        raise ValueError(
            f"item_seq has shape {item_seq.shape} and lengths {lengths.shape}, "
            "expected (b, l) and (b,)"
        )
    if len(lengths) and not 1 <= int(lengths.min()) <= int(lengths.max()) <= item_seq.shape[1]:
        raise ValueError(
            f"lengths lie in [{lengths.min()}, {lengths.max()}], "
            f"expected [1, {item_seq.shape[1]}], the window's length"
        )


def _init_block(rng, config, init):
    d, bins = config.width, config.length // 2 + 1
    return EchoBlockParams(
        filter=FilterParams(rng.normal(0, 0.02, (bins, d)), rng.normal(0, 0.02, (bins, d))),
        filter_norm=_init_norm(d),
        mixers=tuple(_init_mixer(rng, config, init) for _ in range(config.inner)),
        glu=GLUParams(normal_linear(rng, d, 2 * d), normal_linear(rng, d, d)),
        glu_norm=_init_norm(d),
    )


def _init_mixer(rng, config, init):
    sizes = {name: getattr(config, name) for name in ("width", "state", "conv", "expand")}
    causal, anticausal = (init_mamba(rng, **sizes, init=init) for _ in range(2))
    norm = _init_norm(config.width)
    return BidirectionalParams(causal, norm, anticausal, norm)


def _init_norm(d):
    return NormParams(np.ones(d), np.zeros(d))
