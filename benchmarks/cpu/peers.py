"""Other people's selective scans on a CPU, each as two calls: forward, and forward with backward.

All of them compute softplus(delta + bias), the scan, the skip and the gate from the same arrays,
(u, delta, bias, A, B, C, D, z), and the gradients of all eight. A peer that is not installed is
left out. The loops and compositions are ours; `pscan`, `associative_scan` and `lax.scan` are the
peers' own.
"""

import numpy as np

from benchmarks.common import absent

NEEDS = {
    "torch loop": ("torch",),
    "mambapy pscan": ("torch", "mambapy.pscan"),
    "jax associative_scan": ("jax",),
    "jax lax.scan": ("jax",),
    "numba": ("numba",),
}


def left_out():
    """Return {name: reason} of the peers that are not installed."""
    reasons = {name: absent(*modules) for name, modules in NEEDS.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def peers(inputs, dy):
    """Return {name: (forward, forward and backward)} of every peer that is installed."""
    makers = {
        "torch loop": lambda: _torch(_torch_loop, inputs, dy),
        "mambapy pscan": lambda: _torch(_torch_pscan, inputs, dy),
        "jax associative_scan": lambda: _jax(_jax_associative, inputs, dy),
        "jax lax.scan": lambda: _jax(_jax_scan, inputs, dy),
        "numba": lambda: (_numba(inputs), None),
    }
    return {name: make() for name, make in makers.items() if name not in left_out()}


def _torch(scan, inputs, dy):
    import torch
    from torch.nn.functional import silu, softplus

    torch.set_num_threads(1)
    tensors = [torch.from_numpy(x) for x in inputs]
    leaves = [x.clone().requires_grad_() for x in tensors]
    cotangent = torch.from_numpy(dy)

    def run(u, delta, bias, A, B, C, D, z):
        step = softplus(delta + bias)
        return (scan(torch, u, step, A, B, C) + D * u) * silu(z)

    def forward():
        with torch.no_grad():
            return run(*tensors)

    def both():
        y = run(*leaves)
        return y, torch.autograd.grad(y, leaves, cotangent)

    return forward, both


def _torch_loop(torch, u, step, A, B, C):
    a = torch.exp(step[..., None] * A)
    b = (step * u)[..., None] * B[:, :, None, :]
    h, states = torch.zeros_like(a[:, 0]), []
    for a_t, b_t in zip(a.unbind(1), b.unbind(1), strict=True):
        h = a_t * h + b_t
        states.append(h)
    return torch.einsum("blen,bln->ble", torch.stack(states, 1), C)


def _torch_pscan(torch, u, step, A, B, C):
    from mambapy.pscan import pscan

    a = torch.exp(step[..., None] * A)
    b = (step * u)[..., None] * B[:, :, None, :]
    return (pscan(a, b) @ C[..., None])[..., 0]


def _jax(scan, inputs, dy):
    import jax

    jax.config.update("jax_enable_x64", True)
    arrays, cotangent = [jax.numpy.asarray(x) for x in inputs], jax.numpy.asarray(dy)

    def run(u, delta, bias, A, B, C, D, z):
        step = jax.nn.softplus(delta + bias)
        return (scan(jax, u, step, A, B, C) + D * u) * jax.nn.silu(z)

    def run_and_pull(*args):
        y, pull = jax.vjp(run, *args)
        return y, pull(cotangent)

    forward, both = jax.jit(run), jax.jit(run_and_pull)
    return (
        lambda: jax.block_until_ready(forward(*arrays)),
        lambda: jax.block_until_ready(both(*arrays)),
    )


def _jax_associative(jax, u, step, A, B, C):
    a = jax.numpy.exp(step[..., None] * A)
    b = (step * u)[..., None] * B[:, :, None, :]

    def combine(x, y):
        return y[0] * x[0], y[0] * x[1] + y[1]

    _, h = jax.lax.associative_scan(combine, (a, b), axis=1)
    return jax.numpy.einsum("blen,bln->ble", h, C)


def _jax_scan(jax, u, step, A, B, C):
    def body(h, x):
        u_t, step_t, B_t, C_t = x
        h = jax.numpy.exp(step_t[..., None] * A) * h + (step_t * u_t)[..., None] * B_t[:, None]
        return h, jax.numpy.einsum("ben,bn->be", h, C_t)

    time_first = [jax.numpy.swapaxes(x, 0, 1) for x in (u, step, B, C)]
    h0 = jax.numpy.zeros((u.shape[0], *A.shape), u.dtype)
    return jax.numpy.swapaxes(jax.lax.scan(body, h0, time_first)[1], 0, 1)


def _numba(inputs):
    import numba

    @numba.njit(fastmath=True)
    def run(u, delta, bias, A, B, C, D, z, out, h):
        for b in range(u.shape[0]):
            h[:] = 0
            for t in range(u.shape[1]):
                for i in range(u.shape[2]):
                    s = delta[b, t, i] + bias[i]
                    step = s if s > 20 else np.log1p(np.exp(s))
                    v, y = step * u[b, t, i], u.dtype.type(0)
                    for j in range(A.shape[1]):
                        h[i, j] = np.exp(step * A[i, j]) * h[i, j] + v * B[b, t, j]
                        y += h[i, j] * C[b, t, j]
                    g = z[b, t, i]
                    out[b, t, i] = (y + D[i] * u[b, t, i]) * g / (1 + np.exp(-g))
        return out

    out, h = np.empty_like(inputs[0]), np.empty_like(inputs[3])
    return lambda: run(*inputs, out, h)
