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
    gain = 0.5 if "mamba_layers" in name else 0.7  # the bound grows with every map, the more so
    return gain * x / np.sqrt(like[0].size)


def small_weights(op):
    """Return weights of a small block or model, for whoever brings none.

    Examples
    --------
    >>> small_weights("mamba_block")["in_proj.weight"].shape
    (16, 4)
    """
    rng = np.random.default_rng(0)
    shapes = {"mamba_block": _block, "mamba_lm": _lm, "echo": _echo}[op]()
    return {k: redrawn(rng, k, np.empty(v)) for k, v in shapes.items()}


def _block(prefix="", d=4, e=8, n=3, r=2, k=4):
    shapes = {"in_proj.weight": (2 * e, d), "conv1d.weight": (e, 1, k), "conv1d.bias": (e,)}
    shapes |= {"x_proj.weight": (r + 2 * n, e), "dt_proj.weight": (e, r), "dt_proj.bias": (e,)}
    shapes |= {"A_log": (e, n), "D": (e,), "out_proj.weight": (d, e)}
    return {prefix + name: shape for name, shape in shapes.items()}


def _lm(layers=2, v=11, d=4):
    shapes = {"backbone.embeddings.weight": (v, d), "backbone.norm_f.weight": (d,)}
    for i in range(layers):
        shapes[f"backbone.layers.{i}.norm.weight"] = (d,)
        shapes |= _block(f"backbone.layers.{i}.mixer.", d)
    return shapes


def _echo(v=11, d=4):
    name = "mamba_layers.0."
    shapes = {"item_embedding.weight": (v, d), f"{name}filter_layer.complex_weight": (1, 5, d, 2)}
    for norm in ("filter_layer.LayerNorm", "norms_forward.0", "norms_backward.0", "glu.LayerNorm"):
        shapes |= {f"{name}{norm}.{k}": (d,) for k in ("weight", "bias")}
    shapes |= {f"LayerNorm.{k}": (d,) for k in ("weight", "bias")}
    shapes |= {f"{name}glu.fc1.weight": (2 * d, d), f"{name}glu.fc1.bias": (2 * d,)}
    shapes |= {f"{name}glu.fc2.weight": (d, d), f"{name}glu.fc2.bias": (d,)}
    for way in ("forwards", "backwards"):
        shapes |= _block(f"{name}mamba_{way}.0.", d)
    return shapes
