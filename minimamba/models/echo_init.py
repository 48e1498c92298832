"""How EchoMamba4Rec begins: its sizes and its first weights."""

from dataclasses import dataclass

import numpy as np

from minimamba.blocks.bidirectional import BidirectionalParams
from minimamba.blocks.echo import EchoBlockParams
from minimamba.blocks.init import init_mamba, normal_linear, released
from minimamba.models.echo import EchoParams
from minimamba.ops.glu import GLUParams
from minimamba.ops.norm import NormParams
from minimamba.ops.spectral import FilterParams


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


def init_echo(rng, config, init=released):
    """Draw all weights in float64.

    Parameters
    ----------
    rng : numpy.random.Generator
    config : EchoConfig
    init : callable
        `released` (every step size begins at 0.69) or `mamba_delta` (log-uniform in 0.001..0.1);
        see `minimamba.blocks.init`.

    Returns
    -------
    EchoParams

    Notes
    -----
    Table, linear layers and filter are N(0, 0.02), biases 0, norms 1 and 0. As in the release the
    padding's row is drawn like any other. Source: the released model's `_init_weights`.

    Examples
    --------
    >>> import numpy as np
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=100, length=50))
    >>> params.item_embedding.shape, params.layers[0].filter.re.shape
    ((101, 64), (26, 64))
    """
    table = rng.normal(0, 0.02, (config.items + 1, config.width))
    layers = tuple(_init_block(rng, config, init) for _ in range(config.outer))
    return EchoParams(table, _init_norm(config.width), layers)


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
