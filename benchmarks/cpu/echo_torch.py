"""EchoMamba4Rec in PyTorch with autograd, on the same tree of weights: the peer of our own.

Written as the release computes it: every position of every layer, then the last one is read. The
scan of the states is passed in, one of `benchmarks.peers`.
"""

import torch
from torch.nn import functional as F

from benchmarks.peers import torch_loop
from minimamba.trees import tree_leaves, tree_map


def to_torch(params):
    """Return the same tree with torch leaves that ask for gradients."""
    return tree_map(lambda x: torch.from_numpy(x.copy()).requires_grad_(), params)


def loss(item_seq, lengths, target, params, rate=0.0, scan=None):
    """Return the mean cross entropy over all columns."""
    drop = lambda x: F.dropout(x, rate, training=rate > 0)  # noqa: E731
    x = F.embedding(item_seq, params.item_embedding, padding_idx=0)
    x = norm(drop(x), params.norm, 1e-12)
    for layer in params.layers:
        x = block(x, layer, drop, scan or torch_loop)
    row = x[torch.arange(len(x)), lengths - 1]
    return F.cross_entropy(row @ params.item_embedding.T, target)


def gradients(value, params):
    """Return {dotted path: gradient} of a loss."""
    paths, leaves = zip(*tree_leaves(params), strict=True)
    return dict(zip(paths, torch.autograd.grad(value, leaves), strict=True))


def block(x, p, drop, scan):
    """Filter, mix in both directions, gate."""
    weight = torch.complex(p.filter.re, p.filter.im)
    spectrum = torch.fft.rfft(x, dim=1, norm="ortho") * weight
    y = torch.fft.irfft(spectrum, n=x.shape[1], dim=1, norm="ortho")
    x = norm(drop(y) + x, p.filter_norm, 1e-12)
    for mixer in p.mixers:
        y = mamba(x, mixer.causal, scan)
        w = mamba(x.flip(1), mixer.anticausal, scan).flip(1)
        y = norm(drop(y) + x, mixer.causal_norm, 1e-5)
        x = y + norm(drop(w) + x, mixer.anticausal_norm, 1e-5)
    value, gate = linear(x, p.glu.fc1).chunk(2, dim=-1)
    y = linear(value * torch.sigmoid(gate), p.glu.fc2)
    return norm(drop(y + x), p.glu_norm, 1e-12)


def mamba(x, p, scan):
    """Run one Mamba block."""
    e, k, n, l = len(p.D), p.conv1d.weight.shape[1], p.A_log.shape[1], x.shape[1]
    u, z = linear(x, p.in_proj).chunk(2, dim=-1)
    u = F.conv1d(u.mT, p.conv1d.weight[:, None], p.conv1d.bias, padding=k - 1, groups=e)
    v = F.silu(u[..., :l].mT)
    low, B, C = linear(v, p.x_proj).split([len(p.dt_proj.weight), n, n], dim=-1)
    step = F.softplus(linear(low, p.dt_proj), threshold=1000)  # PyTorch's 20 is not exact
    a = torch.exp(step[..., None] * -torch.exp(p.A_log))
    b = (step * v)[..., None] * B[:, :, None]
    y = torch.einsum("blen,bln->ble", scan(a, b), C) + p.D * v
    return linear(y * F.silu(z), p.out_proj)


def linear(x, p):
    y = x @ p.weight
    return y if p.bias is None else y + p.bias


def norm(x, p, eps):
    return F.layer_norm(x, x.shape[-1:], p.weight, p.bias, eps)
