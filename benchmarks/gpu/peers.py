"""The selective scans of other packages on the same GPU: mamba_ssm, PyTorch, JAX.

Each peer is a function (problem, place) -> (forward, backward, output): two calls to be timed, and
y as a NumPy array, to be compared with ours. A peer that is not installed is left out. The loop and
the composition around `associative_scan` are ours; the kernels are the peers' own.
"""

import os
import statistics
import time
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

NAMES = ("mamba_ssm", "torch", "jax")
LONGEST_LOOP = 4096  # steps; a loop of launches takes seconds beyond


class Peer(NamedTuple):
    """A selective scan to time."""

    forward: object  # call, returns what it made
    backward: object
    wait: object  # until the device has done it
    y: object  # () -> NumPy array


def missing(name):
    """Return None where a peer is installed and sees the GPU, else a sentence."""
    if find_spec(name) is None:
        return f"{name} is not installed"
    if name == "jax":
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # or it takes most of the memory
        import jax

        return None if jax.default_backend() == "gpu" else "jax sees no GPU"
    import torch

    return None if torch.cuda.is_available() else "torch sees no GPU"


def host_problem(shape, seed=0):
    """Return (u, delta, delta_bias, A, B, C, D, z, dy), float32 NumPy arrays, channel-last."""
    b, l, e, n = shape
    rng = np.random.default_rng(seed)

    def normal(*sizes):
        return rng.standard_normal(sizes, dtype=np.float32)

    delta, bias, A = normal(b, l, e) - np.float32(2), normal(e) / 10, -np.exp(normal(e, n))
    return (
        normal(b, l, e),
        delta,
        bias,
        A,
        normal(b, l, n),
        normal(b, l, n),
        normal(e),
        *(normal(b, l, e) for _ in range(2)),
    )


def torch_loop(arrays, device="cuda", memory="float32"):
    """PyTorch: one step after the other, gradients by autograd."""
    import torch
    from torch.nn.functional import silu, softplus

    *leaves, dy = _tensors(torch, arrays, device, torch.float32)

    def run(u, delta, bias, A, B, C, D, z):
        step = softplus(delta + bias)
        h, out = torch.zeros_like(A).expand(len(u), *A.shape), []
        for t in range(u.shape[1]):
            drive = (step[:, t] * u[:, t])[..., None] * B[:, t, None]
            h = torch.exp(step[:, t, :, None] * A) * h + drive
            out.append((h * C[:, t, None]).sum(-1))
        return (torch.stack(out, 1) + D * u) * silu(z)

    return _torch_peer(torch, run, leaves, dy, device)


def mamba_ssm(arrays, device="cuda", memory="float32"):
    """mamba_ssm's CUDA kernel, in its own layout (b, d, l)."""
    import torch
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    kind = torch.bfloat16 if memory == "bfloat16" else torch.float32
    u, delta, bias, A, B, C, D, z, dy = _tensors(torch, arrays, device, torch.float32)
    u, delta, B, C, z, dy = (
        x.detach().transpose(1, 2).contiguous().to(kind) for x in (u, delta, B, C, z, dy)
    )
    leaves = [x.detach().requires_grad_() for x in (u, delta, bias, A, B, C, D, z)]

    def run(u, delta, bias, A, B, C, D, z):
        return selective_scan_fn(u, delta, A, B, C, D, z, bias, delta_softplus=True)

    peer = _torch_peer(torch, run, leaves, dy, device)
    return peer._replace(y=lambda: peer.y().swapaxes(1, 2))


def _tensors(torch, arrays, device, kind):
    return [torch.from_numpy(x).to(device, kind).requires_grad_() for x in arrays]


def _torch_peer(torch, run, leaves, dy, device):
    kept = []  # the graph that the backward walks, made once

    def forward():
        with torch.no_grad():
            return run(*leaves)

    def backward():
        if not kept:
            kept.append(run(*leaves))
        return torch.autograd.grad(kept[0], leaves, dy.detach(), retain_graph=True)

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    return Peer(forward, backward, wait, lambda: forward().float().cpu().numpy())


def jax_associative(arrays, device="gpu", memory="float32"):
    """JAX: `lax.associative_scan` over pairs, compiled by XLA."""
    import jax
    from jax import numpy as jnp
    from jax.nn import silu, softplus

    *leaves, dy = (jnp.asarray(x) for x in arrays)

    def combine(first, second):
        return second[0] * first[0], second[0] * first[1] + second[1]

    def run(u, delta, bias, A, B, C, D, z):
        step = softplus(delta + bias)
        a = jnp.exp(step[..., None] * A)
        b = (step * u)[..., None] * B[:, :, None]
        h = jax.lax.associative_scan(combine, (a, b), axis=1)[1]
        return (jnp.einsum("blen,bln->ble", h, C) + D * u) * silu(z)

    forward = jax.jit(run)
    both = jax.jit(lambda leaves, dy: jax.vjp(run, *leaves)[1](dy))
    done = []

    def keep(x):
        done[:] = [x]
        return x

    return Peer(
        lambda: keep(forward(*leaves)),
        lambda: keep(both(leaves, dy)),
        lambda: jax.block_until_ready(done),
        lambda: np.asarray(forward(*leaves)),
    )


PEERS = {"mamba_ssm": mamba_ssm, "torch": torch_loop, "jax": jax_associative}
SAYS = {  # what their times hold
    "mamba_ssm": ("mamba_ssm forward", "mamba_ssm backward"),
    "torch": ("torch loop forward", "torch loop backward"),
    "jax": ("jax associative forward", "jax associative forward + backward"),
}


def timed(peer, call, seconds=1.0, most=50):
    """Return median, fastest and wall milliseconds of a call, batches of calls between two waits.

    A batch is long enough for the launches to hide behind the device's work, where they can.
    """
    call()
    peer.wait()
    began = time.perf_counter()
    call()
    peer.wait()
    batch = int(np.clip(0.01 / (time.perf_counter() - began), 1, 10))
    times, began = [], time.perf_counter()
    while not times or (len(times) < most and time.perf_counter() - began < seconds):
        start = time.perf_counter()
        for _ in range(batch):
            call()
        peer.wait()
        times.append(1000 * (time.perf_counter() - start) / batch)
    middle = statistics.median(times)
    return {"median": middle, "fastest": min(times), "wall": middle, "rounds": len(times)}


def rows(name, shape, memory):
    """Return the rows of a peer at a shape, and how far its y is from ours."""
    import cupy

    from benchmarks.gpu.bench import Row
    from minimamba.kernels import selective
    from minimamba.ops.selective.naive import SelectiveScanInputs

    arrays = host_problem(shape)
    peer = PEERS[name](arrays, memory=memory)
    found = [
        Row(what, memory, shape, **timed(peer, call))._asdict()
        for what, call in zip(SAYS[name], (peer.forward, peer.backward), strict=True)
    ]
    u, delta, bias, A, B, C, D, z = map(cupy.asarray, arrays[:-1])
    ours = selective.forward(SelectiveScanInputs(u, delta, A, B, C, D, z, bias, True))[0].get()
    far = float(np.linalg.norm(peer.y() - ours) / np.linalg.norm(ours))
    return [row | {"away from ours": far} for row in found]


def affordable(name, shape):
    """Say whether a peer can run at a shape in the time there is."""
    return name != "torch" or shape[1] <= LONGEST_LOOP
