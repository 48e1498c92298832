"""Other people's scans behind our own arguments: one registry for the benchmarks on both devices.

A recurrence is (a, b) -> h, time on axis 1, in the arrays of its framework. A selective scan takes
(u, delta, A, B, C, D, z, delta_bias), channel-last, with softplus. Loops and compositions are ours;
`pscan`, `associative_scan`, `lax.scan` and `selective_scan_fn` are the peers' own.
"""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from benchmarks.common import not_installed


class Peer(NamedTuple):
    """A selective scan with its inputs; gradients come in their order, what it lacks is None."""

    forward: Callable  # () -> y, perhaps before the device is done
    both: Callable | None = None  # () -> (y, gradients)
    backward: Callable | None = None  # () -> gradients, of a forward that is kept
    wait: Callable = lambda found: found  # what a call returned, once it is there
    y: Callable = None  # () -> NumPy array (b, l, e)


def multiply_add(h, x):
    """One step of the recurrence, as a loop takes it."""
    h = x[0] * h + x[1]
    return h, h


def torch_steps(body, h, sequences):
    """Run `h, y_t = body(h, x_t)` over time; unbind keeps autograd linear in the length."""
    import torch

    found = []
    for x in zip(*(x.unbind(1) for x in sequences), strict=True):
        h, y = body(h, x)
        found.append(y)
    return torch.stack(found, dim=1)


def jax_steps(body, h, sequences):
    """Run the same by `lax.scan`."""
    import jax

    time_first = [jax.numpy.swapaxes(x, 0, 1) for x in sequences]
    return jax.numpy.swapaxes(jax.lax.scan(body, h, time_first)[1], 0, 1)


def torch_loop(a, b):
    """Scan step by step."""
    return torch_steps(multiply_add, 0 * b[:, 0], (a, b))


def mambapy_pscan(a, b):
    """Scan in parallel, (b, l, e, n)."""
    from mambapy.pscan import pscan

    return pscan(a, b)


def jax_loop(a, b):
    """Scan step by step, compiled."""
    return jax_steps(multiply_add, 0 * b[:, 0], (a, b))


def jax_associative(a, b):
    """Scan over pairs, as a tree."""
    import jax

    def combine(x, y):
        return y[0] * x[0], y[0] * x[1] + y[1]

    return jax.lax.associative_scan(combine, (a, b), axis=1)[1]


def composed(xp, nn, scan):
    """Return a selective scan around the scan of a recurrence: all states are arrays."""

    def run(u, delta, A, B, C, D, z, delta_bias):
        step = nn.softplus(delta + delta_bias)
        a = xp.exp(step[..., None] * A)
        b = (step * u)[..., None] * B[:, :, None]
        return (xp.einsum("blen,bln->ble", scan(a, b), C) + D * u) * nn.silu(z)

    return run


def stepwise(xp, nn, steps):
    """Return a selective scan as a loop that keeps one state."""

    def run(u, delta, A, B, C, D, z, delta_bias):
        step = nn.softplus(delta + delta_bias)

        def body(h, x):
            u_t, step_t, B_t, C_t = x
            h = xp.exp(step_t[..., None] * A) * h + (step_t * u_t)[..., None] * B_t[:, None]
            return h, xp.einsum("ben,bn->be", h, C_t)

        return (steps(body, 0 * u[:, 0, :, None] * A, (u, step, B, C)) + D * u) * nn.silu(z)

    return run


def on_torch(make, scan):
    """Return what makes a Peer of a composition in PyTorch."""

    def bind(inputs, dy, device="cpu", memory="float32"):
        import torch

        run = make(torch, torch.nn.functional, scan)
        return torch_peer(run, [torch.from_numpy(x) for x in (*inputs, dy)], device)

    return bind


def torch_peer(run, tensors, device):
    """Return the calls of a function of PyTorch's, gradients by autograd."""
    import torch

    if device == "cpu":
        torch.set_num_threads(1)
    *leaves, dy = (x.to(device) for x in tensors)
    leaves = [x.requires_grad_() for x in leaves]
    kept = cache(lambda: run(*leaves))  # the graph that the backward walks, made once

    def forward():
        with torch.no_grad():
            return run(*leaves)

    def both():
        y = run(*leaves)
        return y, torch.autograd.grad(y, leaves, dy)

    def wait(found):
        return found if device == "cpu" else torch.cuda.synchronize() or found

    def backward():
        return torch.autograd.grad(kept(), leaves, dy, retain_graph=True)

    return Peer(forward, both, backward, wait, lambda: forward().float().cpu().numpy())


def mamba_ssm(inputs, dy, device="cuda", memory="float32"):
    """mamba_ssm's CUDA kernel, in its own layout (b, d, l)."""
    import torch
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    def time_last(x):
        return torch.from_numpy(x).transpose(1, 2).contiguous().to(getattr(torch, memory))

    def run(u, delta, A, B, C, D, z, delta_bias):
        return selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus=True)

    tensors = [time_last(x) if x.ndim == 3 else torch.from_numpy(x) for x in (*inputs, dy)]
    peer = torch_peer(run, tensors, device)
    return peer._replace(y=lambda: peer.y().swapaxes(1, 2))


def on_jax(make, scan):
    """Return what makes a Peer of a composition in JAX, compiled."""

    def bind(inputs, dy, device=None, memory="float32"):
        import jax

        jax.config.update("jax_enable_x64", True)
        run = make(jax.numpy, jax.nn, scan)
        *arrays, dy = (jax.numpy.asarray(x) for x in (*inputs, dy))
        forward = jax.jit(run)

        @jax.jit
        def both(arrays, dy):
            y, pull = jax.vjp(run, *arrays)
            return y, pull(dy)

        return Peer(
            lambda: forward(*arrays),
            lambda: both(arrays, dy),
            wait=jax.block_until_ready,
            y=lambda: np.asarray(forward(*arrays)),
        )

    return bind


def numba_peer(inputs, dy, device="cpu", memory="float32"):
    """The loops of `scan.c` in Numba, forward only."""
    import numba

    @numba.njit(fastmath=True)
    def run(u, delta, A, B, C, D, z, bias, out, h):
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

    out, h = np.empty_like(inputs[0]), np.empty_like(inputs[2])
    return Peer(lambda: run(*inputs, out, h), y=lambda: run(*inputs, out, h))


NEEDS = {
    "torch loop": ("torch",),
    "mambapy pscan": ("torch", "mambapy.pscan"),
    "jax associative_scan": ("jax",),
    "jax lax.scan": ("jax",),
    "numba": ("numba",),
}
PEERS = {  # name: (inputs, dy, device, memory) -> Peer
    "torch loop": on_torch(composed, torch_loop),
    "mambapy pscan": on_torch(composed, mambapy_pscan),
    "jax associative_scan": on_jax(composed, jax_associative),
    "jax lax.scan": on_jax(stepwise, jax_steps),
    "numba": numba_peer,
    "torch steps": on_torch(stepwise, torch_steps),  # fits a GPU at the shapes that are timed there
    "mamba_ssm": mamba_ssm,
}


def left_out():
    """Return {name: reason} of the peers on a CPU that are not installed."""
    return not_installed(NEEDS)


def selective_scans(inputs, dy):
    """Return {name: (forward, forward and backward or None)} of what is installed, on a CPU."""
    found = {name: PEERS[name](inputs, dy) for name in NEEDS if name not in left_out()}
    return {name: (waiting(p.forward, p), waiting(p.both, p)) for name, p in found.items()}


def waiting(call, peer):
    """Return a call that ends when its result is there; None stays None."""
    return call and (lambda: peer.wait(call()))


def recurrences(a, b, first):
    """Return {name: call} of what is installed; `first` are a, b as one row (1, l, s)."""
    makers = {
        "torch loop": lambda: _torch_recurrence(torch_loop, first),
        "mambapy pscan": lambda: _torch_recurrence(mambapy_pscan, [x[..., None] for x in (a, b)]),
        "jax associative_scan": lambda: _jax_recurrence(jax_associative, first),
        "jax lax.scan": lambda: _jax_recurrence(jax_loop, first),
        "numba": lambda: _numba_recurrence(*(x[0] for x in first)),
    }
    return {name: make() for name, make in makers.items() if name not in left_out()}


def _torch_recurrence(scan, arrays):
    import torch

    torch.set_num_threads(1)
    a, b = map(torch.from_numpy, arrays)
    return torch.no_grad()(lambda: scan(a, b))


def _jax_recurrence(scan, arrays):
    import jax

    jax.config.update("jax_enable_x64", True)
    arrays, compiled = [jax.numpy.asarray(x) for x in arrays], jax.jit(scan)
    return lambda: jax.block_until_ready(compiled(*arrays))


def _numba_recurrence(a, b):
    import numba

    @numba.njit(fastmath=True)
    def run(a, b, h):
        h[0] = b[0]
        for t in range(1, b.shape[0]):
            for i in range(b.shape[1]):
                h[t, i] = a[t, i] * h[t - 1, i] + b[t, i]
        return h

    h = np.empty_like(b)
    return lambda: run(a, b, h)
