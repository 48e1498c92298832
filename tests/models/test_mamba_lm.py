"""The language model against transformers' numbers, and its step against its sequence."""

import json
import shutil

import numpy as np
import pytest

from minimamba.blocks.init import init_mamba
from minimamba.errors import InputError
from minimamba.files import save_state_dict
from minimamba.models.mamba_lm import (
    LMLayerParams,
    LMParams,
    MambaLM,
    lm_logits,
    lm_loss,
    lm_loss_backward,
    lm_step,
    lm_zero_states,
    load_pretrained,
)
from minimamba.models.state_dict import mamba_to_entries
from minimamba.ops.linear import LinearParams
from minimamba.ops.norm import RMSNormParams
from minimamba.trees import tree_leaves
from tests.models.helpers import worst_leaf_error

TINY = "tests/golden/hf_mamba_tiny"
EPS = 0.3  # no default, so that a norm which forgets it is far off


def to_entries(params):
    state = {"backbone.embeddings.weight": params.embeddings}
    state["backbone.norm_f.weight"] = params.norm_f.weight
    for i, layer in enumerate(params.layers):
        state[f"backbone.layers.{i}.norm.weight"] = layer.norm.weight
        state |= mamba_to_entries(f"backbone.layers.{i}.mixer.", layer.mixer)
    if params.lm_head is not None:
        state["lm_head.weight"] = params.lm_head
    return {name: np.ascontiguousarray(value) for name, value in state.items()}


def random_lm(tied, bias, conv_bias=True, **sizes):
    rng, d, v = np.random.default_rng(0), 4, 7
    layers = []
    for _ in range(2):
        p = init_mamba(rng, d, **{"state": 3, **sizes})
        if bias:
            p = p._replace(
                in_proj=LinearParams(p.in_proj.weight, rng.normal(size=p.in_proj.weight.shape[1])),
                out_proj=LinearParams(p.out_proj.weight, rng.normal(size=d)),
            )
        if not conv_bias:
            p = p._replace(conv1d=p.conv1d._replace(bias=None))
        layers.append(LMLayerParams(RMSNormParams(rng.normal(size=d)), p))
    head = None if tied else rng.normal(size=(v, d))
    norm_f = RMSNormParams(rng.normal(size=d))
    return MambaLM(LMParams(rng.normal(size=(v, d)), tuple(layers), norm_f, head), EPS)


@pytest.fixture(scope="module")
def golden():
    with np.load(f"{TINY}/golden.npz") as file:
        return dict(file)


def test_logits_loss_and_every_gradient_equal_transformers(golden):
    model = load_pretrained(TINY)
    logits, _, _ = lm_logits(golden["input_ids"], model)
    np.testing.assert_allclose(logits, golden["logits"], rtol=1e-12, atol=1e-13)
    loss, cache = lm_loss(golden["input_ids"], model)
    assert abs(loss - golden["loss"]) < 1e-13
    grads = to_entries(lm_loss_backward(1.0, cache))
    assert {f"grad/{name}" for name in grads} == {n for n in golden if n.startswith("grad/")}
    for name, value in grads.items():
        expected = golden[f"grad/{name}"]
        error = np.abs(value - expected).max() / np.abs(expected).max()
        assert error < 1e-12, (name, error)


VARIANTS = [
    dict(tied=True, bias=False),
    dict(tied=False, bias=True, state=1, conv=2),
    dict(tied=False, bias=False, conv_bias=False, state=5, expand=3),
    dict(tied=True, bias=True, conv=1, rank=3),
]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_gradient_is_the_derivative(variant):
    model, ids = random_lm(**variant), np.random.default_rng(1).integers(0, 7, (2, 6))
    _, cache = lm_loss(ids, model)
    loss = lambda p: lm_loss(ids, model._replace(params=p))[0]  # noqa: E731
    error, path = worst_leaf_error(loss, model.params, lm_loss_backward(1.0, cache))
    assert error < 1e-10, path


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("prefill", [0, 1, 2, 5])
def test_prefill_and_then_steps_equal_the_sequence(variant, prefill):
    model, ids = random_lm(**variant), np.random.default_rng(2).integers(0, 7, (2, 9))
    expected, _, _ = lm_logits(ids, model)
    states = lm_zero_states(2, model)
    if prefill:
        logits, states, _ = lm_logits(ids[:, :prefill], model)
        np.testing.assert_allclose(logits, expected[:, :prefill], rtol=0, atol=1e-12)
    for t in range(prefill, 9):
        logits, states = lm_step(ids[:, t], model, states)
        np.testing.assert_allclose(logits, expected[:, t], rtol=0, atol=1e-12)


def test_a_segment_of_many_tokens_continues_from_the_states():
    model, ids = random_lm(tied=True, bias=True), np.random.default_rng(3).integers(0, 7, (2, 9))
    expected, _, _ = lm_logits(ids, model)
    _, states, _ = lm_logits(ids[:, :4], model)
    rest, _, _ = lm_logits(ids[:, 4:], model, states)
    np.testing.assert_allclose(rest, expected[:, 4:], rtol=0, atol=1e-12)


def write(folder, params, **changes):
    config = {
        "model_type": "mamba", "hidden_size": 4, "num_hidden_layers": 2,
        "layer_norm_epsilon": EPS, "tie_word_embeddings": params.lm_head is None,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | changes))
    save_state_dict(folder / "model.safetensors", to_entries(params))


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_folder_gives_the_weights_back(tmp_path, variant):
    model = random_lm(**variant)
    write(tmp_path, model.params)
    again = load_pretrained(tmp_path)
    assert again.eps == EPS
    for (path, one), (other, two) in zip(
        tree_leaves(model.params), tree_leaves(again.params), strict=True
    ):
        assert path == other
        np.testing.assert_array_equal(one, two, err_msg=path)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model_type": "mamba2"}, "model_type is 'mamba2', expected 'mamba'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', expected 'silu'"),
        ({"num_hidden_layers": 3}, r"no entry 'backbone\.layers\.2"),
        ({"num_hidden_layers": 1}, r"an entry 'backbone\.layers\.1"),
        ({"hidden_size": 5}, r"embeddings\.weight' has shape \(7, 4\), expected \(any, 5\)"),
        ({"tie_word_embeddings": False}, r"no entry 'lm_head\.weight'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_in_one_sentence(tmp_path, changes, message):
    write(tmp_path, random_lm(tied=True, bias=False).params, **changes)
    with pytest.raises(InputError, match=message):
        load_pretrained(tmp_path)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*config\.json"):
        load_pretrained(tmp_path)
    shutil.copy(f"{TINY}/config.json", tmp_path)
    with pytest.raises(InputError, match=r"there is no file .*model\.safetensors"):
        load_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match="cannot read"):
        load_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InputError, match="as JSON"):
        load_pretrained(tmp_path)
