"""The truth of the scans, each a short program that runs in any arithmetic.

Nothing in this room is shared with `minimamba.ops`: a mistake there cannot hide in its own judge.
Arrays are channel-last; the letters are those of the contract, where d is the width of the scan
(the library's e). A program returns a dict of outputs and, where a cotangent is given, of gradients
under the input's name with a `d` in front. Gradients of complex numbers follow PyTorch: y = a x
gives dx = conj(a) dy.
"""

import numpy as np


def recurrence(m, a, b, h0, dh=None):
    """h_t = a_t h_{t-1} + b_t over axis 1, Eq. (3.1); gradients by Eq. (3.3) and (3.4)."""
    h = m.scan(a, b, h0)
    if dh is None:
        return {"h": h}
    g = adjoint_scan(m, a, dh)
    h_prev = m.concatenate([h0[:, None], h[:, :-1]])
    dh0 = (a[:, :1].conj() * g[:, :1])[:, 0] if a.shape[1] else m.lift(np.zeros(h0.shape))
    return {"h": h, "da": g * h_prev.conj(), "db": g, "dh0": dh0}


def adjoint_scan(m, a, dh):
    """g_t = dh_t + conj(a_{t+1}) g_{t+1}, Eq. (3.3): the recurrence run from the end."""
    a_next = m.concatenate([a[:, 1:].conj(), m.lift(np.zeros(a[:, :1].shape))])
    return m.scan(a_next, dh, m.lift(np.zeros(dh[:, 0].shape if dh.shape[1] else ())), True)


def selective_scan(
    m,
    u,
    delta,
    A,
    B,
    C,
    D=None,
    z=None,
    delta_bias=None,
    delta_softplus=False,
    initial_state=None,
    seq_idx=None,
    dout=None,
    dlast_state=None,
):
    """The selective scan, Eq. (7.2) to (7.5), and its gradients, Eq. (7.6) to (7.10).

    u, delta, z (b, l, d); A (d, n); B, C (d, n), (b, l, n) or (b, l, g, n), where group i serves
    channels [i d/g, (i+1) d/g); D, delta_bias (d,); initial_state (b, d, n); seq_idx (b, l) are
    integers that number packed sequences: where the number changes the state starts from zero.
    """
    (b, l, d), n = u.shape, A.shape[1]
    double = 2.0 if m.is_complex(A) else None  # then y = 2 Re(C h)
    Bx, Cx = (_every_channel(m, x, d) for x in (B, C))
    s = delta if delta_bias is None else m.may_round(delta + delta_bias, "sum")
    step = m.may_round(m.softplus(s) if delta_softplus else s, "delta")
    step_n = step[..., None]
    a = m.exp(step_n * A)
    if seq_idx is not None and l:
        goes_on = np.diff(seq_idx, axis=1, prepend=seq_idx[:, :1]) == 0
        a = a * m.lift(goes_on[:, :, None, None])
    drive = step * u
    bu = drive[..., None] * Bx
    h0 = m.lift(np.zeros((b, d, n))) if initial_state is None else initial_state
    h = m.scan(a, bu, h0)
    skip = None if D is None else u * D
    y = m.sum(m.may_round(_output(m, double, h * Cx), "Cx"), 3, skip)
    res = {"out": y, "last_state": h[:, -1] if l else h0}
    if z is not None:
        gate = m.sigmoid(z)
        silu = m.may_round(z * gate, "gate")
        res["out"] = y * silu
    if dout is None:
        return res
    dy = dout
    if z is not None:
        dsilu = m.may_round(gate * (1 + z * (1 - gate)), "gate")
        res["dz"] = dout * m.may_round(y, "saved") * dsilu
        dy = m.may_round(dout * silu, "gate")
    dy_n = dy[..., None]
    res["dC"] = _fold(m, _times(double, dy_n * h.conj()), C)
    c = _times(double, dy_n * Cx.conj())
    if dlast_state is not None and l:
        c = m.concatenate([c[:, :-1], c[:, -1:] + dlast_state[:, None]])
    g = adjoint_scan(m, a, c)
    ax = m.carried(a * m.concatenate([h0[:, None], h[:, :-1]]), h, bu)
    gax = m.decay_gradient(g * ax.conj())
    gB = g * Bx.conj()
    dstep = m.sum(m.concatenate([m.real(gax * A.conj()), m.real(gB * u[..., None])], 3), 3)
    ds = dstep * m.sigmoid(s) if delta_softplus else dstep
    res |= {"du": m.sum(m.real(gB * step_n), 3, None if D is None else dy * D), "ddelta": ds}
    res |= {"dA": m.sum(gax * step_n, (0, 1)), "dB": _fold(m, g * drive[..., None], B)}
    if D is not None:
        res["dD"] = m.sum(dy * u, (0, 1))
    if delta_bias is not None:
        res["ddelta_bias"] = m.sum(ds, (0, 1))
    if initial_state is not None:
        first = dlast_state if not l else a[:, 0].conj() * g[:, 0]
        res["dinitial_state"] = m.lift(np.zeros((b, d, n))) if first is None else first
    return res


def _times(double, x):
    return x if double is None else double * x


def _output(m, double, x):
    return x if double is None else m.real(double * x)


def _every_channel(m, x, d):
    """Return B or C as (b or 1, l or 1, d or 1, n)."""
    if len(x.shape) == 2:
        return x[None, None]
    return x[:, :, None] if len(x.shape) == 3 else m.repeat(x, d // x.shape[2], 2)


def _fold(m, grad, like):
    """Sum the gradient (b, l, d, n) of an expanded B or C back to its own shape."""
    if len(like.shape) == 2:
        return m.sum(grad, (0, 1))
    if len(like.shape) == 3:
        return m.sum(grad, 2)
    b, l, d, n = grad.shape
    g = like.shape[2]
    return m.sum(grad.reshape((b, l, g, d // g, n)), 3)
