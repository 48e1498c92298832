"""The truth of EchoMamba4Rec as released, under the names of its checkpoint.

A model is a chain of sub-layers, each `f(m, x, p, name)` and, given a cotangent, the pair (dx,
gradients by name). The rules are those of `scan.py`.
"""

import numpy as np

from minimamba.oracle.truth.block import linear, linear_backward, mamba_block
from minimamba.oracle.truth.ops import spectral_filter

EPS, EPS_MIXER = 1e-12, 1e-5  # as released: the norms behind the two branches have the second


def layer_norm(m, x, p, name, eps=EPS, dout=None):
    """(x - mean) / sqrt(variance + eps), scaled and shifted, Eq. (11.3) and (11.4)."""
    share = m.reciprocal(m.lift(x.shape[2]))

    def mean(v):
        return share * m.sum(v, 2)[..., None]

    centred = x - mean(x)
    r = m.rsqrt(mean(centred * centred) + eps)
    unit = centred * r
    if dout is None:
        return unit * p[f"{name}.weight"] + p[f"{name}.bias"]
    g = dout * p[f"{name}.weight"]
    grads = {f"{name}.weight": m.sum(dout * unit, (0, 1)), f"{name}.bias": m.sum(dout, (0, 1))}
    return r * (g - mean(g) - unit * mean(g * unit)), grads


def filter_layer(m, x, p, name, dout=None):
    """A spectral filter of the whole window and its residual norm, Eq. (10.2)."""
    weight = p[f"{name}.complex_weight"][0]
    re, im = weight[..., 0], weight[..., 1]
    total = spectral_filter(m, x, re, im)["out"] + x
    if dout is None:
        return layer_norm(m, total, p, f"{name}.LayerNorm")
    dtotal, grads = layer_norm(m, total, p, f"{name}.LayerNorm", dout=dout)
    s = spectral_filter(m, x, re, im, dtotal)
    both = m.concatenate([s["dre"][..., None], s["dim"][..., None]], 2)
    return dtotal + s["dx"], grads | {f"{name}.complex_weight": both[None]}


def branch(m, x, p, name, norm, dout=None):
    """One direction: layer_norm(x + mamba(x)), Eq. (11.10)."""
    block = {k[len(name) + 1 :]: v for k, v in p.items() if k.startswith(f"{name}.")}
    total = x + mamba_block(m, x, block)["out"]
    if dout is None:
        return layer_norm(m, total, p, norm, EPS_MIXER)
    dtotal, grads = layer_norm(m, total, p, norm, EPS_MIXER, dout)
    inner = mamba_block(m, x, block, dtotal)
    return dtotal + inner["dx"], grads | {f"{name}.{k}": inner[f"d{k}"] for k in block}


def mixer(m, x, p, name, dout=None):
    """Both directions; the window is turned round with its padding, Eq. (11.11)."""
    start, _, i = name.rpartition(".")
    forward = f"{start}.mamba_forwards.{i}", f"{start}.norms_forward.{i}"
    backward = f"{start}.mamba_backwards.{i}", f"{start}.norms_backward.{i}"
    back = x[:, ::-1]
    if dout is None:
        return branch(m, x, p, *forward) + branch(m, back, p, *backward)[:, ::-1]
    dx, grads = branch(m, x, p, *forward, dout)
    dback, more = branch(m, back, p, *backward, dout[:, ::-1])
    return dx + dback[:, ::-1], grads | more


def glu_layer(m, x, p, name, dout=None):
    """A gated linear unit and its residual norm, Eq. (11.8) and (11.9)."""
    both, d = linear(m, x, p, f"{name}.fc1"), x.shape[2]
    value, gate = both[..., :d], m.sigmoid(both[..., d:])
    total = x + linear(m, value * gate, p, f"{name}.fc2")
    if dout is None:
        return layer_norm(m, total, p, f"{name}.LayerNorm")
    dtotal, grads = layer_norm(m, total, p, f"{name}.LayerNorm", dout=dout)
    dgated, more = linear_backward(m, dtotal, value * gate, p, f"{name}.fc2")
    dboth = m.concatenate([dgated * gate, dgated * value * gate * (1 - gate)], 2)
    dx, rest = linear_backward(m, dboth, x, p, f"{name}.fc1")
    return dtotal + dx, grads | more | rest


def chain(p):
    """Return the sub-layers of a checkpoint, in order, with their names."""
    stages, i = [], 0
    while f"mamba_layers.{i}.glu.fc1.weight" in p:
        name, j = f"mamba_layers.{i}", 0
        stages.append((filter_layer, f"{name}.filter_layer"))
        while f"{name}.mamba_forwards.{j}.A_log" in p:
            stages.append((mixer, f"{name}.{j}"))
            j += 1
        stages.append((glu_layer, f"{name}.glu"))
        i += 1
    return stages


def echo(m, item_seq, lengths, p, dscores=None):
    """Scores of every item, Eq. (11.14): read at the last item, compared with the tied table."""
    table, rows = p["item_embedding.weight"], np.arange(len(item_seq))
    found = table[item_seq]
    xs = [layer_norm(m, found, p, "LayerNorm")]
    for stage, name in chain(p):
        xs.append(stage(m, xs[-1], p, name))
    read = xs.pop()[rows, lengths - 1][:, None]
    res = {"scores": m.matmul(read, table.T, None)[:, 0]}
    if dscores is None:
        return res
    dscores = dscores[:, None]
    there = m.lift(np.eye(item_seq.shape[1])[lengths - 1][..., None])
    dx, grads = m.matmul(dscores, table, None) * there, {}
    for (stage, name), x in zip(reversed(chain(p)), reversed(xs), strict=True):
        dx, more = stage(m, x, p, name, dx)
        grads |= more
    dx, more = layer_norm(m, found, p, "LayerNorm", dout=dx)
    dx = dx * m.lift((item_seq != 0)[..., None] / 1.0)  # the padding's row is not looked up
    looked_up = m.scatter(dx, item_seq, table.shape[0])
    grads |= more | {"item_embedding.weight": looked_up + m.contract(dscores, read)}
    return res | {f"d{k}": g for k, g in grads.items()}
