"""The truth of the operations around the scan: convolution, discretization, spectral filter.

The rules are those of `scan.py`.
"""

import numpy as np


def silu(m, x):
    """Return x sigmoid(x) and its derivative, Eq. (0.8)."""
    gate = m.sigmoid(x)
    return x * gate, gate * (1 + x * (1 - gate))


def causal_conv1d(
    m,
    x,
    weight,
    bias=None,
    initial_states=None,
    seq_idx=None,
    activation=False,
    dout=None,
    dfinal_states=None,
):
    """Depthwise causal convolution, Eq. (5.7), its state and its gradients, Eq. (5.8).

    x (b, l, d); weight (d, k), the last tap meets the current input; initial_states (b, k-1, d);
    seq_idx (b, l) numbers packed sequences, which do not see each other.
    """
    (b, l, d), k = x.shape, weight.shape[1]
    zeros = m.lift(np.zeros((b, k - 1, d)))
    full = m.concatenate([zeros if initial_states is None else initial_states, x])
    own = _same_sequence(m, seq_idx, l, k)
    windows = m.concatenate([own(full[:, i : i + l], i)[..., None] for i in range(k)], 3)
    y = m.sum(windows * weight, 3, bias)
    out, slope = silu(m, y) if activation else (y, None)
    res = {"out": out, "final_states": full[:, l:]}
    if dout is None:
        return res
    dy = dout * slope if activation else dout
    padded = [m.concatenate([zeros, own(dy, i), zeros]) for i in range(k)]
    shifted = [padded[i][:, k - 1 - i : 2 * (k - 1) - i + l][..., None] for i in range(k)]
    dlast = zeros if dfinal_states is None else dfinal_states
    also = m.concatenate([m.lift(np.zeros((b, l, d))), dlast])
    dfull = m.sum(m.concatenate(shifted, 3) * weight, 3, also)
    res |= {"dx": dfull[:, k - 1 :], "dweight": m.sum(windows * dy[..., None], (0, 1))}
    if bias is not None:
        res["dbias"] = m.sum(dy, (0, 1))
    if initial_states is not None:
        res["dinitial_states"] = dfull[:, : k - 1]
    return res


def _same_sequence(m, seq_idx, l, k):
    """Return a function (v, i) -> v where tap i looks into the sequence of its step, else zero."""
    if seq_idx is None:
        return lambda v, i: v
    before = np.repeat(seq_idx[:, :1], k - 1, axis=1)
    full = np.concatenate([before, seq_idx], axis=1)
    return lambda v, i: v * m.lift((full[:, i : i + l] == seq_idx)[..., None] / 1.0)


def _zoh_euler(m, x, one):
    a = m.exp(x)
    return a, a, one, None


def _zoh(m, x, one):
    a, (phi, slope) = m.exp(x), m.phi(x)
    return a, a, phi, slope


def _euler(m, x, one):
    return one + x, one, one, None


def _bilinear(m, x, one):
    half = 0.5 * x
    r = m.reciprocal(one - half)
    return (one + half) * r, r * r, r, 0.5 * r * r


RULES = {"zoh_euler": _zoh_euler, "zoh": _zoh, "euler": _euler, "bilinear": _bilinear}


def discretize(m, delta, A, B, rule="zoh_euler", dA_bar=None, dB_bar=None):
    """A_bar = f(delta A) and B_bar = g(delta A) delta B, Eq. (2.3) to (2.7).

    delta (b, l, d); A (d, n); B (b, l, n); both results are (b, l, d, n).
    """
    step, full = delta[..., None], m.lift(np.ones((*delta.shape, A.shape[1])))
    x, drive = step * A, step * B[:, :, None]
    f, df, g, dg = RULES[rule](m, x, full)
    res = {"A_bar": f, "B_bar": g * drive}
    if dA_bar is None:
        return res
    dx = dA_bar * df.conj()
    if dg is not None:
        dx = dx + dB_bar * (dg * drive).conj()
    dg_drive = dB_bar * g.conj()
    both = m.concatenate([m.real(dx * A.conj()), m.real(dg_drive * B[:, :, None].conj())], 3)
    res |= {"ddelta": m.sum(both, 3), "dA": m.sum(dx * step, (0, 1))}
    return res | {"dB": m.sum(dg_drive * step, 2)}


def spectral_filter(m, x, re, im, dout=None):
    """irfft(rfft(x) * (re + i im)) over axis 1, Eq. (10.2), and its gradients, Eq. (10.4).

    x (b, l, d); re, im (f, d) with f = l // 2 + 1.
    """
    l, f = x.shape[1], re.shape[0]
    turns = np.arange(f)[:, None] * np.arange(l)
    cos, sin = (c[None, :, :, None] for c in m.trigonometric(turns, l))
    twice = np.where((turns[:, 1:2] * 2 % l == 0) if l > 1 else True, 1.0, 2.0)[None] / 1.0
    share = m.lift(twice) * m.reciprocal(m.lift(l))  # bins met once or twice

    def transform(v):
        return m.sum(v[:, None] * cos, 2), -m.sum(v[:, None] * sin, 2)

    def back(real, imag):
        terms = m.concatenate([real[:, :, None] * cos, -imag[:, :, None] * sin])
        return m.sum(terms, 1)

    xr, xi = transform(x)
    yr, yi = xr * re - xi * im, xr * im + xi * re
    res = {"out": back(share * yr, share * yi)}
    if dout is None:
        return res
    gr, gi = (share * g for g in transform(dout))
    res["dre"] = m.sum(m.concatenate([gr * xr, gi * xi], 0), 0)
    res["dim"] = m.sum(m.concatenate([-gr * xi, gi * xr], 0), 0)
    return res | {"dx": back(gr * re + gi * im, gi * re - gr * im)}
