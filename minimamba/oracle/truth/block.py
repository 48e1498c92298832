"""The truth of a whole Mamba block and language model, under the names of their checkpoints.

Weights are as PyTorch keeps them, (d_out, d_in), and `p` maps names to them. Gradients come from
running the sub-programs again with a cotangent: slower than a cache, and nothing to forget.
"""

from minimamba.oracle.truth.ops import causal_conv1d
from minimamba.oracle.truth.scan import selective_scan


def linear(m, x, p, name):
    """y = x W^T + bias, Eq. (0.6)."""
    return m.matmul(x, p[f"{name}.weight"].T, p.get(f"{name}.bias"))


def linear_backward(m, dy, x, p, name):
    """Return dx and the gradients of weight and bias, Eq. (0.7)."""
    grads = {f"{name}.weight": m.contract(dy, x)}
    if f"{name}.bias" in p:
        grads[f"{name}.bias"] = m.sum(dy, (0, 1))
    return m.matmul(dy, p[f"{name}.weight"], None), grads


def rms_norm(m, x, weight, eps, dout=None):
    """x / sqrt(mean(x^2) + eps) * weight over the last axis, Eq. (11.5) and (11.6)."""
    share = m.reciprocal(m.lift(x.shape[-1]))
    r = m.rsqrt(m.sum(x * x, 2)[..., None] * share + eps)
    unit = x * r
    if dout is None:
        return unit * weight
    g = dout * weight
    return r * (g - unit * (share * m.sum(g * unit, 2)[..., None])), m.sum(dout * unit, (0, 1))


def mamba_block(m, x, p, dout=None):
    """The Mamba block, Eq. (7.13), and its gradients, Eq. (7.14)."""
    e, n = p["A_log"].shape
    r = p["dt_proj.weight"].shape[1]
    xz = linear(m, x, p, "in_proj")
    conv = {"x": xz[..., :e], "weight": p["conv1d.weight"][:, 0], "bias": p.get("conv1d.bias")}
    v = causal_conv1d(m, **conv, activation=True)["out"]
    selected = linear(m, v, p, "x_proj")
    low = selected[..., :r]
    A = -m.exp(p["A_log"])
    scan = {
        "u": v,
        "delta": m.matmul(low, p["dt_proj.weight"].T, None),
        "A": A,
        "B": selected[..., r : r + n],
        "C": selected[..., r + n :],
        "D": p["D"],
        "z": xz[..., e:],
        "delta_bias": p["dt_proj.bias"],
        "delta_softplus": True,
    }
    y = selective_scan(m, **scan)["out"]
    out = linear(m, y, p, "out_proj")
    if dout is None:
        return {"out": out}
    dy, grads = linear_backward(m, dout, y, p, "out_proj")
    s = selective_scan(m, **scan, dout=dy)
    grads |= {"A_log": s["dA"] * A, "D": s["dD"], "dt_proj.bias": s["ddelta_bias"]}
    grads["dt_proj.weight"] = m.contract(s["ddelta"], low)
    dlow = m.matmul(s["ddelta"], p["dt_proj.weight"], None)
    dsel = m.concatenate([dlow, s["dB"], s["dC"]], 2)
    dv, more = linear_backward(m, dsel, v, p, "x_proj")
    c = causal_conv1d(m, **conv, activation=True, dout=s["du"] + dv)
    grads |= more | {"conv1d.weight": c["dweight"][:, None]}
    if "dbias" in c:
        grads["conv1d.bias"] = c["dbias"]
    dx, more = linear_backward(m, m.concatenate([c["dx"], s["dz"]], 2), x, p, "in_proj")
    return {"out": out, "dx": dx} | {f"d{k}": g for k, g in (grads | more).items()}


def mamba_lm(m, ids, p, eps=1e-5, dout=None):
    """Logits of a Mamba language model under transformers' names, and the gradients of its weights.

    ids (b, l); the block of layer i is `backbone.layers.i.mixer`; the head is tied to the
    embedding if `lm_head.weight` is not there.
    """
    layers = 1 + max(int(k.split(".")[2]) for k in p if k.startswith("backbone.layers."))
    table = p["backbone.embeddings.weight"]
    xs = [table[ids]]
    for i in range(layers):
        norm, block = _layer(p, i)
        xs.append(xs[-1] + mamba_block(m, rms_norm(m, xs[-1], norm, eps), block)["out"])
    last = rms_norm(m, xs[-1], p["backbone.norm_f.weight"], eps)
    head = p.get("lm_head.weight", table)
    res = {"logits": m.matmul(last, head.T, None)}
    if dout is None:
        return res
    grads = {"lm_head.weight": m.contract(dout, last)}
    dx = m.matmul(dout, head, None)
    dx, grads["backbone.norm_f.weight"] = rms_norm(m, xs[-1], p["backbone.norm_f.weight"], eps, dx)
    for i in reversed(range(layers)):
        norm, block = _layer(p, i)
        inner = mamba_block(m, rms_norm(m, xs[i], norm, eps), block, dx)
        more, dnorm = rms_norm(m, xs[i], norm, eps, inner["dx"])
        name, dx = f"backbone.layers.{i}", dx + more
        grads[f"{name}.norm.weight"] = dnorm
        grads |= {f"{name}.mixer.{k}": inner[f"d{k}"] for k in block}
    grads["backbone.embeddings.weight"] = m.scatter(dx, ids, table.shape[0])
    if "lm_head.weight" not in p:
        tied = grads.pop("lm_head.weight")
        grads["backbone.embeddings.weight"] = grads["backbone.embeddings.weight"] + tied
    return res | {f"d{k}": g for k, g in grads.items()}


def _layer(p, i):
    name = f"backbone.layers.{i}."
    block = {k[len(name) + 6 :]: v for k, v in p.items() if k.startswith(name + "mixer.")}
    return p[name + "norm.weight"], block
