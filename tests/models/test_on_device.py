"""Whole models on arrays as strict as CuPy's: what they give is what they give on the host."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from minimamba.arrays import to_host
from minimamba.blocks.read import read_ends, read_last
from minimamba.blocks.sequence import flip_valid, flip_window
from minimamba.models.echo import EchoConfig, echo_loss, echo_loss_backward, echo_scores, init_echo
from minimamba.models.explain import echo_attribution, echo_receptive_field
from minimamba.models.mamba_lm import (
    lm_backward,
    lm_logits,
    lm_loss,
    lm_loss_backward,
    lm_step,
    lm_zero_states,
    load_pretrained,
)
from minimamba.trees import tree_leaves, tree_map
from tests import cupy_stand_in
from tests.cupy_stand_in import device
from tests.kernels.problems import FORWARD, GRADIENT, check

TINY = Path(__file__).parents[1] / "golden" / "hf_mamba_tiny"
LENGTHS = np.array([6, 2, 5])
ITEMS = np.random.default_rng(0).integers(1, 10, (3, 6)) * (np.arange(6) < LENGTHS[:, None])
TARGET = np.array([3, 1, 9])


@pytest.fixture(autouse=True)
def cupy(monkeypatch):
    return cupy_stand_in.install(monkeypatch)


def close(one, two, tolerance=1e-12):
    """Require two trees to agree, the second on the device: other orders, a thousand roundings."""
    for (path, x), (_, y) in zip(tree_leaves(one), tree_leaves(two), strict=True):
        assert isinstance(y, cupy_stand_in.cupy.ndarray), path
        assert abs(np.asarray(x) - to_host(y)).max() <= tolerance * max(1, abs(x).max()), path


def echo():
    config = EchoConfig(items=9, length=6, width=8, state=3, outer=2, inner=2)
    params = init_echo(np.random.default_rng(1), config)
    return params, tree_map(cupy_stand_in.cupy.asarray, params)


@pytest.mark.parametrize("flip,read", [(flip_window, read_last), (flip_valid, read_ends)])
@pytest.mark.parametrize("side", [np.asarray, cupy_stand_in.cupy.asarray], ids=["host", "device"])
def test_echo_with_its_items_on_either_side(side, flip, read):
    batch, moved = (ITEMS, LENGTHS, TARGET), tuple(map(side, (ITEMS, LENGTHS, TARGET)))
    params, on_device = echo()
    chosen = dict(rate=0.2, flip=flip, read=read)
    loss, cache = echo_loss(*batch, params, rng=np.random.default_rng(2), **chosen)
    got, on_device_cache = echo_loss(*moved, on_device, rng=np.random.default_rng(2), **chosen)
    close((loss,), (got,))
    chosen = dict(flip=flip, read=read)
    back = partial(echo_loss_backward, 1.0, **chosen)
    close(back(cache), back(on_device_cache))
    for f, count in ((echo_scores, 2), (echo_attribution, 3)):
        want, got = f(*batch[:count], params, **chosen), f(*moved[:count], on_device, **chosen)
        close((want,), (got,))
    wanted, fields = (
        echo_receptive_field(*rows[:2], weights, **chosen)
        for rows, weights in ((batch, params), (moved, on_device))
    )
    close(tuple(wanted.values()), tuple(fields.values()))


def test_echo_with_its_items_on_the_host_waits_for_nothing():
    _, on_device = echo()
    with device.counted() as waits:
        _, cache = echo_loss(ITEMS, LENGTHS, TARGET, on_device, 0.2, np.random.default_rng(2))
        echo_loss_backward(1.0, cache)
        echo_scores(ITEMS, LENGTHS, on_device)
    assert not waits


def test_echo_in_float32_runs_its_kernels():
    params, _ = echo()
    loss, cache = echo_loss(ITEMS, LENGTHS, TARGET, params)
    want = echo_loss_backward(1.0, cache)
    narrow = tree_map(lambda x: cupy_stand_in.cupy.asarray(x.astype(np.float32)), params)
    with device.counted():
        got, cache = echo_loss(ITEMS, LENGTHS, TARGET, narrow)
        grads = echo_loss_backward(1.0, cache)
    assert device.launches == {
        f"{kernel}_{way}": 2 * 2 * 2  # blocks, pairs, directions
        for kernel in ("causal_conv", "selective_scan")
        for way in ("forward", "backward")
    }
    check(to_host(got), np.asarray(loss), FORWARD)
    for (path, x), (_, y) in zip(tree_leaves(want), tree_leaves(grads), strict=True):
        check(to_host(y), x, GRADIENT, path)


def language(ids, model):
    """Return the outputs of every function of the language model, and its gradients."""
    logits, ends, cache = lm_logits(ids, model)
    loss, loss_cache = lm_loss(ids, model)
    first, states = lm_step(ids[:, 0], model, lm_zero_states(2, model))
    second, _ = lm_step(ids[:, 1], model, states)
    outputs = (logits, ends, loss, first, second)
    return outputs, (lm_backward(logits, cache), lm_loss_backward(1.0, loss_cache))


def test_a_language_model():
    model = load_pretrained(TINY)
    ids = np.random.default_rng(3).integers(0, len(model.params.embeddings), (2, 7))
    want = language(ids, model)

    def there(dtype):
        move = partial(cupy_stand_in.cupy.asarray, dtype=dtype)
        return model._replace(params=tree_map(move, model.params))

    close(want, language(ids, there("float64")))
    with device.counted() as waits:
        got = language(ids, there("float32"))
    assert not waits and device.launches["selective_scan_backward"] == 2 * len(model.params.layers)
    for one, two, tolerance in zip(want, got, (FORWARD, GRADIENT), strict=True):
        for (path, x), (_, y) in zip(tree_leaves(one), tree_leaves(two), strict=True):
            check(to_host(y), np.asarray(x), tolerance, path)


def test_a_token_that_does_not_exist_is_refused_where_cupy_would_wrap_around():
    model = load_pretrained(TINY)
    v = len(model.params.embeddings)
    with pytest.raises(ValueError, match=f"ids must lie in 0..{v - 1}, got values from {v} to {v}"):
        lm_step(np.array([v, v]), model, lm_zero_states(2, model))


def test_an_item_that_does_not_exist_is_not_explained():
    with pytest.raises(ValueError, match=r"ids must lie in 0..9, got values from 3 to 10"):
        echo_attribution(ITEMS, LENGTHS, np.array([3, 10, 9]), echo()[0])
