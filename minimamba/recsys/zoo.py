"""The models that can be trained, as a few functions each, and the names of their variants."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

from minimamba.blocks.init import delta_log_uniform, delta_released
from minimamba.blocks.read import read_ends, read_last
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.errors import InputError
from minimamba.models.echo import EchoConfig, echo_loss, echo_loss_backward, echo_scores, init_echo
from minimamba.trees import tree_map

INIT = {"released": delta_released, "mamba": delta_log_uniform}
FLIP = {"flip": flip_window, "flip_valid": flip_valid}
READ = {"last": read_last, "ends": read_ends}


class Model(NamedTuple):
    """What the trainer needs to know of a model."""

    name: str
    init: Callable  # (rng) -> params, float64
    loss: Callable  # (item_seq, lengths, target, params, rate, rng) -> loss, cache
    loss_backward: Callable  # (dloss, cache) -> grads
    scores: Callable  # (item_seq, lengths, params) -> (b, v)
    causal: bool  # whether the output at a position depends on no later position


def echo_variants(config):
    """Return the functions that a ModelConfig names, as keywords."""
    return {"flip": FLIP[config.flip], "read": READ[config.read]}


def build(config, items):
    """Return the Model that a ModelConfig describes.

    Parameters
    ----------
    config : ModelConfig
    items : int
        Without the padding item.
    """
    sizes = {
        name: getattr(config, name)
        for name in ("length", "width", "state", "conv", "expand", "outer", "inner")
    }
    variants = echo_variants(config)
    return Model(
        name="EchoMamba4Rec",
        init=partial(init_echo, config=EchoConfig(items=items, **sizes), init=INIT[config.init]),
        loss=partial(echo_loss, **variants),
        loss_backward=partial(echo_loss_backward, **variants),
        scores=partial(echo_scores, **variants),
        causal=False,
    )


def first_weights(model, seed, dtype):
    """Draw a model's first weights from a seed, in the dtype of the run."""
    params = model.init(np.random.default_rng([seed, 0]))
    return tree_map(lambda p: p.astype(dtype), params)


def check_loss(model, loss):
    """Refuse a loss at all positions unless the model is causal."""
    if loss == "all_positions" and not model.causal:
        raise InputError(
            f"train.loss = 'all_positions' needs a causal model, and {model.name} is not one: its "
            "filter and its anticausal branch see later items, so that every position but the last "
            "would read its own target (leakage); use train.loss = 'last'"
        )
