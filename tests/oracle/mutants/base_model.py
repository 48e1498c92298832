"""A correct block and language model on top of `base.py`, forward and backward."""

import numpy as np

from .base import (
    causal_conv1d,
    causal_conv1d_backward,
    selective_scan,
    selective_scan_backward,
)


def mamba_block(x, p, state=None):
    """A Mamba block, x (b, l, d), under the names of its checkpoint; state (conv, scan)."""
    A, r = -np.exp(p["A_log"]), p["dt_proj.weight"].shape[1]
    n = A.shape[1]
    conv_state, scan_state = (None, None) if state is None else state
    u, z = np.split((x @ p["in_proj.weight"].T).swapaxes(1, 2), 2, axis=1)
    weight, bias = p["conv1d.weight"][:, 0], p["conv1d.bias"]
    v, conv_state, conv = causal_conv1d(u, weight, bias, conv_state, activation="silu")
    selected = (v.swapaxes(1, 2) @ p["x_proj.weight"].T).swapaxes(1, 2)
    low, B, C = np.split(selected, [r, r + n], axis=1)
    delta = np.einsum("er,brl->bel", p["dt_proj.weight"], low)
    bias = p["dt_proj.bias"]
    y, scan_state, scan = selective_scan(v, delta, A, B, C, p["D"], z, bias, True, scan_state)
    out = y.swapaxes(1, 2) @ p["out_proj.weight"].T
    return out, (conv_state, scan_state), (x, p, conv, v, low, A, scan, y)


def mamba_block_backward(dout, cache):
    """Return the gradient of x and of every weight, by name."""
    x, p, conv, v, low, A, scan, y = cache
    grads = {"out_proj.weight": np.einsum("bld,bel->de", dout, y)}
    dy = (dout @ p["out_proj.weight"]).swapaxes(1, 2)
    s = selective_scan_backward(dy, None, scan)
    grads |= {"A_log": s["A"] * A, "D": s["D"], "dt_proj.bias": s["delta_bias"]}
    grads["dt_proj.weight"] = np.einsum("bel,brl->er", s["delta"], low)
    dlow = np.einsum("er,bel->brl", p["dt_proj.weight"], s["delta"])
    dselected = np.concatenate([dlow, s["B"], s["C"]], 1)
    grads["x_proj.weight"] = np.einsum("bkl,bel->ke", dselected, v)
    dv = s["u"] + np.einsum("ke,bkl->bel", p["x_proj.weight"], dselected)
    c = causal_conv1d_backward(dv, None, conv)
    grads |= {"conv1d.weight": c["weight"][:, None], "conv1d.bias": c["bias"]}
    dxz = np.concatenate([c["x"], s["z"]], 1)
    grads["in_proj.weight"] = np.einsum("bel,bld->ed", dxz, x)
    return grads | {"x": dxz.swapaxes(1, 2) @ p["in_proj.weight"]}


def rms_norm(x, weight, eps=1e-5):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + x.dtype.type(eps))
    return x * r * weight, (x, weight, r)


def rms_norm_backward(dy, cache):
    x, weight, r = cache
    g, unit = dy * weight, x * r
    dx = r * (g - unit * (g * unit).mean(-1, keepdims=True))
    return dx, (dy * unit).sum((0, 1))


def layer_of(p, i):
    start = f"backbone.layers.{i}.mixer."
    return {k.removeprefix(start): v for k, v in p.items() if k.startswith(start)}


def mamba_lm(input_ids, p, state=None):
    """A language model with a tied head, under transformers' names; state one a layer."""
    table, layers = p["backbone.embeddings.weight"], sum(k.endswith("A_log") for k in p)
    x, caches, states = table[input_ids], [], []
    for i in range(layers):
        y, norm = rms_norm(x, p[f"backbone.layers.{i}.norm.weight"])
        y, end, mixer = mamba_block(y, layer_of(p, i), None if state is None else state[i])
        x = x + y
        caches.append((norm, mixer))
        states.append(end)
    last, norm_f = rms_norm(x, p["backbone.norm_f.weight"])
    return last @ table.T, states, (input_ids, table, caches, last, norm_f)


def mamba_lm_backward(dlogits, cache):
    """Return the gradient of every weight, by name: the table is used twice."""
    input_ids, table, caches, last, norm_f = cache
    dtable = np.einsum("blv,bld->vd", dlogits, last)
    dx, dnorm_f = rms_norm_backward(dlogits @ table, norm_f)
    grads = {"backbone.norm_f.weight": dnorm_f}
    for i, (norm, mixer) in reversed(list(enumerate(caches))):
        inner = mamba_block_backward(dx, mixer)
        dy, dnorm = rms_norm_backward(inner.pop("x"), norm)
        dx = dx + dy
        grads[f"backbone.layers.{i}.norm.weight"] = dnorm
        grads |= {f"backbone.layers.{i}.mixer.{k}": v for k, v in inner.items()}
    np.add.at(dtable, input_ids, dx)
    return grads | {"backbone.embeddings.weight": dtable}
