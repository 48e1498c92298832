"""The released EchoMamba4Rec's weights, read and written under its own names."""

import numpy as np

from minimamba.arrays import to_host
from minimamba.blocks.bidirectional import BidirectionalParams
from minimamba.blocks.echo import EchoBlockParams
from minimamba.errors import InputError
from minimamba.models.echo import EchoParams
from minimamba.models.state_dict import (
    Entries,
    mamba_from_entries,
    mamba_to_entries,
    put_linear,
    take_linear,
)
from minimamba.ops.glu import GLUParams
from minimamba.ops.norm import NormParams
from minimamba.ops.spectral import FilterParams

UNUSED = "multi_query_transformer_block"  # built by the release and never called


def echo_from_state_dict(mapping):
    """Read the released PyTorch model's weights.

    Parameters
    ----------
    mapping : mapping of str to array
        Names and shapes as `model.state_dict()` has them; the never-called
        `multi_query_transformer_block` is left out.

    Returns
    -------
    EchoParams
        In the entries' dtype.

    Raises
    ------
    InputError
        Naming the entry that is missing, has another shape, or is not known.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> again = echo_from_state_dict(echo_to_state_dict(params))
    >>> bool((again.layers[0].glu.fc1.weight == params.layers[0].glu.fc1.weight).all())
    True
    """
    entries = Entries(mapping)
    table = entries.take("item_embedding.weight", None, None)
    d = table.shape[1]
    layers = [_echo_block(entries, f"mamba_layers.{i}.", d) for i in range(_count(mapping, ""))]
    if not layers:
        raise InputError("the state dict has no entry 'mamba_layers.0...': no layer at all")
    params = EchoParams(table, _norm(entries, "LayerNorm", d), tuple(layers))
    entries.finish(ignore=(UNUSED,))
    return params


def echo_to_state_dict(params):
    """Write the weights under the released model's names and shapes: a dict of NumPy arrays.

    Examples
    --------
    >>> from minimamba.models.echo import EchoConfig, init_echo
    >>> params = init_echo(np.random.default_rng(0), EchoConfig(items=9, length=5, width=4))
    >>> echo_to_state_dict(params)["mamba_layers.0.filter_layer.complex_weight"].shape
    (1, 3, 4, 2)
    """
    state = {"item_embedding.weight": params.item_embedding, **_put_norm("LayerNorm", params.norm)}
    for i, layer in enumerate(params.layers):
        state |= _put_echo_block(f"mamba_layers.{i}.", layer)
    return {name: np.ascontiguousarray(to_host(value)) for name, value in state.items()}


def _echo_block(entries, prefix, d):
    complex_weight = entries.take(f"{prefix}filter_layer.complex_weight", 1, None, d, 2)[0]
    mixers = tuple(_mixer(entries, prefix, i, d) for i in range(_count(entries.mapping, prefix)))
    return EchoBlockParams(
        filter=FilterParams(complex_weight[..., 0], complex_weight[..., 1]),
        filter_norm=_norm(entries, f"{prefix}filter_layer.LayerNorm", d),
        mixers=mixers,
        glu=GLUParams(
            _biased_linear(entries, f"{prefix}glu.fc1", d, 2 * d),
            _biased_linear(entries, f"{prefix}glu.fc2", d, d),
        ),
        glu_norm=_norm(entries, f"{prefix}glu.LayerNorm", d),
    )


def _mixer(entries, prefix, i, d):
    return BidirectionalParams(
        causal=mamba_from_entries(entries, f"{prefix}mamba_forwards.{i}.", d),
        causal_norm=_norm(entries, f"{prefix}norms_forward.{i}", d),
        anticausal=mamba_from_entries(entries, f"{prefix}mamba_backwards.{i}.", d),
        anticausal_norm=_norm(entries, f"{prefix}norms_backward.{i}", d),
    )


def _put_echo_block(prefix, p):
    weight = np.stack([to_host(p.filter.re), to_host(p.filter.im)], axis=-1)[None]
    state = {f"{prefix}filter_layer.complex_weight": weight}
    state |= _put_norm(f"{prefix}filter_layer.LayerNorm", p.filter_norm)
    for i, mixer in enumerate(p.mixers):
        state |= mamba_to_entries(f"{prefix}mamba_forwards.{i}.", mixer.causal)
        state |= mamba_to_entries(f"{prefix}mamba_backwards.{i}.", mixer.anticausal)
        state |= _put_norm(f"{prefix}norms_forward.{i}", mixer.causal_norm)
        state |= _put_norm(f"{prefix}norms_backward.{i}", mixer.anticausal_norm)
    state |= put_linear(f"{prefix}glu.fc1", p.glu.fc1) | put_linear(f"{prefix}glu.fc2", p.glu.fc2)
    return state | _put_norm(f"{prefix}glu.LayerNorm", p.glu_norm)


def _biased_linear(entries, name, d_in, d_out):
    bias = entries.take(f"{name}.bias", d_out)
    return take_linear(entries, name, d_in, d_out)._replace(bias=bias)


def _norm(entries, name, d):
    return NormParams(entries.take(f"{name}.weight", d), entries.take(f"{name}.bias", d))


def _put_norm(name, p):
    return {f"{name}.weight": p.weight, f"{name}.bias": p.bias}


def _count(mapping, prefix):
    """Count the layers (prefix "") or the inner pairs of a layer, by their numbers."""
    start = f"{prefix}mamba_forwards." if prefix else "mamba_layers."
    numbers = {name[len(start) :].split(".")[0] for name in mapping if name.startswith(start)}
    return len(numbers)
