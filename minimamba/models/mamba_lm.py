"""A Mamba language model in the form transformers writes: config.json and model.safetensors."""

import json
from pathlib import Path
from typing import NamedTuple

from minimamba.arrays import Array
from minimamba.blocks.mamba import (
    MambaCache,
    MambaParams,
    MambaState,
    mamba,
    mamba_backward,
    mamba_step,
    zero_state,
)
from minimamba.errors import InputError
from minimamba.files import load_state_dict
from minimamba.models.state_dict import Entries, mamba_from_entries
from minimamba.ops.embedding import EmbeddingCache, embedding, embedding_backward
from minimamba.ops.loss import (
    CrossEntropyCache,
    softmax_cross_entropy,
    softmax_cross_entropy_backward,
)
from minimamba.ops.norm import NormCache, RMSNormParams, rms_norm, rms_norm_backward


class LMLayerParams(NamedTuple):
    """One layer: x + mamba(rms_norm(x))."""

    norm: RMSNormParams
    mixer: MambaParams


class LMParams(NamedTuple):
    """All weights of the language model."""

    embeddings: Array  # (v, d)
    layers: tuple[LMLayerParams, ...]
    norm_f: RMSNormParams
    lm_head: Array | None  # (v, d); None where the embeddings score too


class LMLayerCache(NamedTuple):
    """What the backward of one layer needs."""

    norm: NormCache
    mixer: MambaCache


class LMCache(NamedTuple):
    """What `lm_backward` needs."""

    embedding: EmbeddingCache
    layers: tuple[LMLayerCache, ...]
    norm_f: NormCache
    hidden: Array  # (b, l, d), after the last norm
    params: LMParams


class LMLossCache(NamedTuple):
    """What `lm_loss_backward` needs."""

    logits: LMCache
    loss: CrossEntropyCache  # of (b (l-1), v)


class MambaLM(NamedTuple):
    """A loaded model: its weights, and what is not a weight."""

    params: LMParams
    eps: float


def load_pretrained(directory):
    """Read a Mamba language model from a folder as transformers writes it.

    Parameters
    ----------
    directory : str or path
        Holds config.json and model.safetensors. Nothing is downloaded and nothing unpickled.

    Returns
    -------
    MambaLM
        Weights in the file's dtype; tied or untied head, with or without biases, any sizes.

    Raises
    ------
    InputError
        When a file is missing or broken, the model is of another kind, or an entry does not fit.
    """
    directory = Path(directory)
    config = _read_config(directory / "config.json")
    entries = Entries(load_state_dict(directory / "model.safetensors"))
    embeddings = entries.take("backbone.embeddings.weight", None, config["hidden_size"])
    v, d = embeddings.shape
    tied = config.get("tie_word_embeddings", True)
    params = LMParams(
        embeddings,
        tuple(_layer(entries, i, d) for i in range(config["num_hidden_layers"])),
        RMSNormParams(entries.take("backbone.norm_f.weight", d)),
        None if tied else entries.take("lm_head.weight", v, d),
    )
    entries.finish(ignore=("lm_head",) if tied else ())
    return MambaLM(params, config["layer_norm_epsilon"])


def lm_logits(ids, model, states=None):
    """Score the next token after every position: prefill, or train.

    Parameters
    ----------
    ids : int array, shape (b, l)
    model : MambaLM
    states : tuple of MambaState, optional
        One a layer, where an earlier chunk ended.

    Returns
    -------
    logits : array, shape (b, l, v)
    states : tuple of MambaState
        Pass them to `lm_step`, or to the next chunk.
    cache : LMCache

    Notes
    -----
    Every layer is x + mamba(rms_norm(x)), Eq. (7.13) and Eq. (11.5). Source: Gu and Dao,
    arXiv 2312.00752, section 3.4, with the names of transformers' MambaForCausalLM.
    """
    params = model.params
    x, c_embedding = embedding(ids, params.embeddings)
    states = states or (None,) * len(params.layers)
    ends, caches = [], []
    for layer, state in zip(params.layers, states, strict=True):
        y, c_norm = rms_norm(x, layer.norm, model.eps)
        y, end, c_mixer = mamba(y, layer.mixer, state)
        x = x + y
        ends.append(end)
        caches.append(LMLayerCache(c_norm, c_mixer))
    x, c_norm = rms_norm(x, params.norm_f, model.eps)
    cache = LMCache(c_embedding, tuple(caches), c_norm, x, params)
    return x @ _head(params).T, tuple(ends), cache


def lm_backward(dlogits, cache):
    """Pull dlogits, shape (b, l, v), back to every weight: an LMParams, Eq. (7.14).

    A tied table is used twice, to look up and to score, so its gradient has two terms.
    """
    c, p = cache, cache.params
    d = c.hidden.shape[-1]
    dhead = dlogits.reshape(-1, dlogits.shape[-1]).T @ c.hidden.reshape(-1, d)
    dx, norm_f = rms_norm_backward(dlogits @ _head(p), c.norm_f)
    layers = ()
    for c_layer in reversed(c.layers):
        dy, mixer, _ = mamba_backward(dx, None, c_layer.mixer)
        dy, norm = rms_norm_backward(dy, c_layer.norm)
        dx = dx + dy
        layers = (LMLayerParams(norm, mixer), *layers)
    dtable = embedding_backward(dx, c.embedding)
    if p.lm_head is None:
        return LMParams(dtable + dhead, layers, norm_f, None)
    return LMParams(dtable, layers, norm_f, dhead)


def lm_loss(ids, model):
    """Return the mean cross entropy of every next token of ids (b, l >= 2), Eq. (11.15)."""
    logits, _, c_logits = lm_logits(ids[:, :-1], model)
    flat, target = logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1)
    loss, c_loss = softmax_cross_entropy(flat, target)
    return loss, LMLossCache(c_logits, c_loss)


def lm_loss_backward(dloss, cache):
    """Return the gradient of the loss for every weight, Eq. (11.16): an LMParams."""
    dlogits = softmax_cross_entropy_backward(dloss, cache.loss)
    rows = cache.logits.hidden.shape[:2]
    return lm_backward(dlogits.reshape(*rows, -1), cache.logits)


def lm_step(ids_t, model, states):
    """Score the next token after one more: `lm_logits` one step at a time, Eq. (7.15).

    ids_t (b,) and the states of `lm_logits`, `lm_step` or `lm_zero_states` give (b, v) and states.
    """
    params = model.params
    (x, _), ends = embedding(ids_t, params.embeddings), []
    for layer, state in zip(params.layers, states, strict=True):
        y, _ = rms_norm(x, layer.norm, model.eps)
        y, end = mamba_step(y, layer.mixer, state)
        x = x + y
        ends.append(end)
    x, _ = rms_norm(x, params.norm_f, model.eps)
    return x @ _head(params).T, tuple(ends)


def lm_zero_states(b, model) -> tuple[MambaState, ...]:
    """Return the states before the first token, one a layer."""
    return tuple(zero_state(b, layer.mixer) for layer in model.params.layers)


def _head(params):
    return params.embeddings if params.lm_head is None else params.lm_head


def _layer(entries, i, d):
    prefix = f"backbone.layers.{i}."
    norm = RMSNormParams(entries.take(f"{prefix}norm.weight", d))
    return LMLayerParams(norm, mamba_from_entries(entries, f"{prefix}mixer.", d))


def _read_config(path):
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path} as JSON: {error}") from error
    if not isinstance(config, dict) or config.get("model_type") != "mamba":
        kind = config.get("model_type") if isinstance(config, dict) else None
        raise InputError(f"{path}: model_type is {kind!r}, expected 'mamba'")
    for key in ("hidden_size", "num_hidden_layers", "layer_norm_epsilon"):
        if key not in config:
            raise InputError(f"{path}: the entry {key!r} is missing")
    if config.get("hidden_act", "silu") != "silu":
        raise InputError(f"{path}: hidden_act is {config['hidden_act']!r}, expected 'silu'")
    return config
