"""Cases of a block or a model: its input, with the weights that were given or others like them."""

import numpy as np


def draw_block(rng, sizes, may, like):
    sizes["d"] = like["out_proj.weight"].shape[0]
    x = rng.standard_normal((sizes["b"], sizes["l"], sizes["d"]))
    return _with_weights(rng, may, like, {"x": x}, {"x": "bld"})


def draw_lm(rng, sizes, may, like):
    ids = rng.integers(0, len(like["backbone.embeddings.weight"]), (sizes["b"], sizes["l"]))
    return _with_weights(rng, may, like, {"input_ids": ids}, {"input_ids": "bl"})


def draw_echo(rng, sizes, may, like):
    """Right-padded rows; a filter of f bins is one for windows of 2 f - 1 or 2 f - 2 steps."""
    f = like["mamba_layers.0.filter_layer.complex_weight"].shape[1]
    l = max(2 * f - 1 - int(rng.integers(2)), 1)
    lengths = rng.integers(1, l + 1, sizes["b"])
    ids = rng.integers(1, len(like["item_embedding.weight"]), (sizes["b"], l))
    ids[np.arange(l) >= lengths[:, None]] = 0
    inputs, axes = {"item_seq": ids, "lengths": lengths}, {"item_seq": "bl", "lengths": "b"}
    return _with_weights(rng, may, like, inputs, axes)


def _with_weights(rng, may, like, inputs, axes):
    like = {k: redrawn(rng, k, v) for k, v in like.items()} if may("weights", 0.7) else like
    letters = {k: "".join(chr(ord("α") + i) for i in range(v.ndim)) for k, v in like.items()}
    return inputs | like, axes | letters, {}


def redrawn(rng, name, like):
    """Draw a weight so that everything matters: memories of all lengths, no branch drowned.

    A trained or freshly made model may forget within a step; then a lost state hardly shows.
    """
    x = rng.standard_normal(like.shape)
    if name.endswith("A_log"):
        return rng.uniform(-4, 1.5, like.shape)
    if name.endswith("dt_proj.bias"):
        return np.log(np.expm1(np.exp(rng.uniform(-5, 0.5, like.shape))))
    if like.ndim == 1:
        of_one = name.endswith("D") or ("norm" in name.lower() and name.endswith("weight"))
        return 0.3 * x + of_one
    if "embedding" in name or "complex_weight" in name:
        return x
    gain = 0.5 if "mamba_layers" in name else 1.5  # ten norms in a row: roundings grow in each
    return gain * x / np.sqrt(like[0].size)
