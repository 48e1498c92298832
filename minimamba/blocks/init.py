"""How the weights of a Mamba block begin: as the release leaves them, or as Mamba sets them."""

import numpy as np

from minimamba.blocks.mamba import MambaParams
from minimamba.ops.conv import ConvParams
from minimamba.ops.linear import LinearParams


def normal_linear(rng, d_in, d_out, bias=True):
    """Draw N(0, 0.02) weights with a bias of zero, as the release's `_init_weights` does."""
    weight = rng.normal(0, 0.02, (d_in, d_out))
    return LinearParams(weight, np.zeros(d_out) if bias else None)


def delta_released(rng, rank, width):
    """Begin dt_proj as the release does: every step size is softplus(0) = 0.69.

    The release draws all linear layers anew after Mamba has set this one, and so loses the spread
    of time scales; see docs/fidelity.md.
    """
    return normal_linear(rng, rank, width)


def delta_log_uniform(rng, rank, width):
    """Begin dt_proj as Mamba does: step sizes log-uniform in [0.001, 0.1].

    Source: Gu and Dao, arXiv 2312.00752, section 3.6 and appendix E.
    """
    bound = rank**-0.5
    delta = np.exp(rng.uniform(np.log(1e-3), np.log(1e-1), width)).clip(min=1e-4)
    inverse_softplus = delta + np.log(-np.expm1(-delta))
    return LinearParams(rng.uniform(-bound, bound, (rank, width)), inverse_softplus)


def init_mamba(rng, width, state=16, conv=4, expand=2, rank=None, init=delta_released):
    """Draw the weights of one Mamba block in float64.

    Parameters
    ----------
    rng : numpy.random.Generator
    width : int
        Model width d; the inner width is e = expand d.
    state, conv, expand, rank : int
        State size n, convolution taps k, expansion, and rank r of delta (ceil(d / 16) by default).
    init : callable
        `delta_released` or `delta_log_uniform`: how dt_proj begins.

    Returns
    -------
    MambaParams

    Notes
    -----
    A_log = log(1..n) (S4D-Real), D = 1, convolution uniform in +-k**-0.5, no bias in in_proj,
    x_proj and out_proj. Source: the released model, and arXiv 2312.00752, section 3.6.

    Examples
    --------
    >>> init_mamba(np.random.default_rng(0), width=64, state=32).dt_proj.weight.shape
    (4, 128)
    """
    e, r, bound = expand * width, rank or -(-width // 16), conv**-0.5
    return MambaParams(
        in_proj=normal_linear(rng, width, 2 * e, bias=False),
        conv1d=ConvParams(rng.uniform(-bound, bound, (e, conv)), rng.uniform(-bound, bound, e)),
        x_proj=normal_linear(rng, e, r + 2 * state, bias=False),
        dt_proj=init(rng, r, e),
        A_log=np.tile(np.log(np.arange(1, state + 1.0)), (e, 1)),
        D=np.ones(e),
        out_proj=normal_linear(rng, e, width, bias=False),
    )
