"""Small logs, a tiny model, and the place of the real logs."""

import os
from pathlib import Path

import numpy as np
import pytest

from minimamba.ops.embedding import embedding, embedding_backward
from minimamba.ops.loss import softmax_cross_entropy, softmax_cross_entropy_backward
from minimamba.recsys.data.prepare import Sequences
from minimamba.recsys.zoo import Model

ROOT = Path(__file__).resolve().parents[2]


def real(*names):
    """Return the path of a real log, or skip."""
    folder = Path(os.environ.get("MINIMAMBA_DATA", ROOT.parent / "shared" / "data"))
    path = folder.joinpath(*names)
    if not path.exists():
        pytest.skip(f"{'/'.join(names)} is not there; set MINIMAMBA_DATA to the folder of the logs")
    return path


def make_sequences(histories, times=None):
    """Return Sequences of lists of item numbers."""
    items = np.array([item for history in histories for item in history], np.int32)
    offsets = np.cumsum([0, *map(len, histories)])
    names = ["", *(f"i{i}" for i in range(1, items.max() + 1))]
    return Sequences(items, offsets, times, [f"u{u}" for u in range(len(histories))], names)


def random_sequences(rng, users=9, items=12, longest=9):
    """Return random histories of 2 to `longest` items, every item somewhere."""
    histories = [rng.integers(1, items + 1, rng.integers(2, longest + 1)) for _ in range(users)]
    return make_sequences([*map(list, histories), list(range(1, items + 1))])


def bigram(items, causal=True):
    """Return a Model whose scores are a table row: the simplest thing that can be trained."""

    def init(rng):
        return (rng.normal(0, 0.1, (items + 1, items + 1)),)

    def loss(item_seq, lengths, target, params, rate=0.0, rng=None):
        if target.ndim == 2:  # every position; 0 marks padding
            inside = target > 0
            item, target = item_seq[inside], target[inside]
        else:
            item = item_seq[np.arange(len(lengths)), lengths - 1]
        logits, c_look_up = embedding(item, params[0])
        if rng is not None:
            logits = logits + rng.normal(0, 0.01, logits.shape)  # uses the step's randomness
        value, c_loss = softmax_cross_entropy(logits, target)
        return value, (c_look_up, c_loss)

    def loss_backward(dloss, cache):
        return (embedding_backward(softmax_cross_entropy_backward(dloss, cache[1]), cache[0]),)

    def scores(item_seq, lengths, params):
        return params[0][item_seq[np.arange(len(lengths)), lengths - 1]]

    return Model("a bigram table", init, loss, loss_backward, scores, causal)
