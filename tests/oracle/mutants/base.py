"""A correct scan, convolution and step, the plain way, for the mutants to be edits of.

mamba_ssm's layout, float32 and complex64, chunks of 8 scanned by doubling with a carry between
them: the structure of the usual kernels, so that the usual mistakes can be made in it.
"""

import numpy as np

CHUNK = 8


def sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def silu(x):
    return x * sigmoid(x)


def double_up(a, b):
    """Scan one chunk, time last, by doubling."""
    a, b, k = a.copy(), b.copy(), 1
    while k < b.shape[-1]:
        later_b = a[..., k:] * b[..., :-k] + b[..., k:]
        later_a = a[..., k:] * a[..., :-k]
        a[..., k:], b[..., k:] = later_a, later_b
        k *= 2
    return a, b


def scan(a, b, h0):
    """Return every state of h_t = a_t h_{t-1} + b_t, time last."""
    states = np.empty_like(b)
    carry = h0
    for start in range(0, b.shape[-1], CHUNK):
        decay, local = double_up(a[..., start : start + CHUNK], b[..., start : start + CHUNK])
        whole = local + decay * carry[..., None]
        states[..., start : start + CHUNK] = whole
        carry = whole[..., -1]
    return states


def pairs(x, A):
    """Return B or C with an axis of time: complex from (re, im) interleaved if A is complex."""
    if not np.iscomplexobj(A) or x.ndim == 2:
        return x
    return x[..., 0::2] + 1j * x[..., 1::2]


def channels(x, d):
    """Return B or C as (b or 1, d, n, l or 1)."""
    if x.ndim == 2:
        return x[None, :, :, None]
    x = x[:, None] if x.ndim == 3 else x
    return np.repeat(x, d // x.shape[1], axis=1)


def discretized(u, delta, A, B, delta_bias, delta_softplus, seq_idx):
    s = delta if delta_bias is None else delta + delta_bias[:, None]
    step = softplus(s) if delta_softplus else s
    a = np.exp(step[:, :, None] * A[:, :, None])
    if seq_idx is not None:
        first = np.zeros(seq_idx.shape, bool)
        first[:, 1:] = seq_idx[:, 1:] != seq_idx[:, :-1]
        a = np.where(first[:, None, None], 0, a)
    drive = step * u
    b = drive[:, :, None] * B
    return s, step, a, b


def end(h, h0):
    """Return the state after the last step, or the first one if there is none."""
    return (h[..., -1] if h.shape[-1] else h0).copy()


def selective_scan(
    u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False,
    initial_state=None, seq_idx=None,
):  # fmt: skip
    Bx, Cx = channels(pairs(B, A), u.shape[1]), channels(pairs(C, A), u.shape[1])
    s, step, a, b = discretized(u, delta, A, Bx, delta_bias, delta_softplus, seq_idx)
    b = np.broadcast_to(b, a.shape)
    h0 = np.zeros(a.shape[:-1], a.dtype) if initial_state is None else initial_state
    h = scan(a, b, h0)
    terms = h * Cx
    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)
    if D is not None:
        y = y + D[:, None] * u
    out = y if z is None else y * silu(z)
    last_state = end(h, h0)
    cache = (u, delta, A, B, C, D, z, delta_bias, delta_softplus, initial_state)
    return out, last_state, (*cache, Bx, Cx, s, step, a, b, h0, h, y)


def fold(grad, like, A):
    """Sum a gradient (b, d, n, l) back to the shape of B or C."""
    if like.ndim == 2:
        return grad.sum((0, 3))
    g = 1 if like.ndim == 3 else like.shape[1]
    b, d, n, l = grad.shape
    grad = grad.reshape(b, g, d // g, n, l).sum(2)
    if np.iscomplexobj(A):
        grad = np.stack([grad.real, grad.imag], -1).reshape(b, g, n, 2 * l)
    return grad[:, 0] if like.ndim == 3 else grad


def selective_scan_backward(dout, dlast_state, cache):
    u, _, A, B, C, D, z, delta_bias, delta_softplus, initial_state = cache[:10]
    Bx, Cx, s, step, a, b, h0, h, y = cache[10:]  # noqa: RUF059
    twice = 2 if np.iscomplexobj(A) else 1
    grads = {}
    dy = dout
    if z is not None:
        gate = sigmoid(z)
        grads["z"] = dout * y * (gate * (1 + z * (1 - gate)))
        dy = dout * silu(z)
    if D is not None:
        grads["D"] = (dy * u).sum((0, 2))
    dterms = twice * dy[:, :, None]
    grads["C"] = fold(dterms * np.conj(h), C, A)
    dh = np.broadcast_to(dterms * np.conj(Cx), h.shape).astype(h.dtype)
    if dlast_state is not None:
        dh[..., -1:] += dlast_state[..., None]
    a_next = np.concatenate([np.conj(a[..., 1:]), np.zeros_like(a[..., :1])], -1)
    g = scan(a_next[..., ::-1], dh[..., ::-1], np.zeros_like(h0))[..., ::-1]
    h_prev = np.concatenate([h0[..., None], h[..., :-1]], -1)
    dlog = g * np.conj(a * h_prev)
    gB = (g * np.conj(Bx)).real
    du = (gB * step[:, :, None]).sum(2)
    if D is not None:
        du = du + dy * D[:, None]
    grads["u"] = du
    grads["B"] = fold(g * (step * u)[:, :, None], B, A)
    grads["A"] = (dlog * step[:, :, None]).sum((0, 3))
    dstep = ((dlog * np.conj(A)[:, :, None]).real + gB * u[:, :, None]).sum(2)
    ds = dstep * sigmoid(s) if delta_softplus else dstep
    grads["delta"] = ds
    if delta_bias is not None:
        grads["delta_bias"] = ds.sum((0, 2))
    if initial_state is not None:
        first = np.conj(a[..., :1]) * g[..., :1]
        grads["initial_state"] = first[..., 0] if a.shape[-1] else dlast_state
    return grads


def selective_scan_step(
    u, delta, A, B, C, state, D=None, z=None, delta_bias=None, delta_softplus=False
):
    Bx = B[:, None] if B.ndim == 2 else np.repeat(B, u.shape[1] // B.shape[1], axis=1)
    Cx = C[:, None] if C.ndim == 2 else np.repeat(C, u.shape[1] // C.shape[1], axis=1)
    s = delta if delta_bias is None else delta + delta_bias
    step = softplus(s) if delta_softplus else s
    state = np.exp(step[..., None] * A) * state + (step * u)[..., None] * Bx
    terms = state * Cx
    y = 2 * terms.real.sum(2) if np.iscomplexobj(A) else terms.sum(2)
    y = y if D is None else y + D * u
    return (y if z is None else y * silu(z)), state


def own(v, i, seq_idx, k):
    """Return v where tap i of k looks into the sequence of its own step, else zero."""
    if seq_idx is None:
        return v
    earlier = np.concatenate([np.repeat(seq_idx[:, :1], k - 1, 1), seq_idx], 1)
    return np.where((earlier[:, i : i + v.shape[-1]] == seq_idx)[:, None], v, 0)


def causal_conv1d(x, weight, bias=None, initial_states=None, activation=None, seq_idx=None):
    """x (b, d, l); weight (d, k); the last tap meets the current input."""
    l, k = x.shape[-1], weight.shape[1]
    context = np.zeros((*x.shape[:2], k - 1), x.dtype)
    if initial_states is not None:
        context = initial_states
    full = np.concatenate([context, x], -1)
    y = sum(own(full[..., i : i + l], i, seq_idx, k) * weight[:, i, None] for i in range(k))
    y = y if bias is None else y + bias[:, None]
    out = silu(y) if activation else y
    final_states = full[..., l:]
    return out, final_states, (full, weight, bias, initial_states, activation, seq_idx, y)


def causal_conv1d_backward(dout, dfinal_states, cache):
    full, weight, bias, initial_states, activation, seq_idx, y = cache
    l, k = dout.shape[-1], weight.shape[1]
    gate = sigmoid(y)
    dy = dout * gate * (1 + y * (1 - gate)) if activation else dout
    dfull = np.zeros_like(full)
    for i in range(k):
        dfull[..., i : i + l] += own(dy, i, seq_idx, k) * weight[:, i, None]
    if dfinal_states is not None:
        dfull[..., l:] += dfinal_states
    seen = [own(full[..., i : i + l], i, seq_idx, k) for i in range(k)]
    dweight = np.stack([(x * dy).sum((0, 2)) for x in seen], -1)
    grads = {"x": dfull[..., k - 1 :], "weight": dweight}
    if bias is not None:
        grads["bias"] = dy.sum((0, 2))
    if initial_states is not None:
        grads["initial_states"] = dfull[..., : k - 1]
    return grads


def causal_conv1d_step(x, initial_states, weight, bias=None, activation=None):
    full = np.concatenate([initial_states, x[..., None]], -1)
    y = (full * weight).sum(-1)
    y = y if bias is None else y + bias
    return (silu(y) if activation else y), full[..., 1:]
