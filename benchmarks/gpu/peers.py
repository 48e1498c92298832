"""The selective scans of other packages on the same GPU: mamba_ssm, PyTorch, JAX."""

import os
import statistics
import time
from importlib.util import find_spec

import numpy as np

from benchmarks import peers
from benchmarks.gpu.bench import Row, problem
from minimamba.arrays import to_host
from minimamba.kernels import selective

NAMES = {"mamba_ssm": "mamba_ssm", "torch": "torch steps", "jax": "jax associative_scan"}
LONGEST_LOOP = 4096  # steps; a loop of launches takes seconds beyond


def missing(name):
    """Return None where a package is installed and sees the GPU, else a sentence."""
    if find_spec(name) is None:
        return f"{name} is not installed"
    if name == "jax":
        os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # or it takes most of the memory
        import jax

        return None if jax.default_backend() == "gpu" else "jax sees no GPU"
    import torch

    return None if torch.cuda.is_available() else "torch sees no GPU"


def timed(peer, call, seconds=1.0, most=50):
    """Return median, fastest and wall milliseconds of a call, batches of calls between two waits.

    A batch is long enough for the launches to hide behind the device's work, where they can.
    """
    peer.wait(call())
    began = time.perf_counter()
    peer.wait(call())
    batch = int(np.clip(0.01 / (time.perf_counter() - began), 1, 10))
    times, began = [], time.perf_counter()
    while not times or (len(times) < most and time.perf_counter() - began < seconds):
        start = time.perf_counter()
        for _ in range(batch):
            found = call()
        peer.wait(found)
        times.append(1000 * (time.perf_counter() - start) / batch)
    middle = statistics.median(times)
    return {"median": middle, "fastest": min(times), "wall": middle, "rounds": len(times)}


def rows(name, shape, memory, device="cuda"):
    """Return the rows of a package at a shape, and how far its y is from ours."""
    import cupy

    x, dy = problem(cupy, shape, "float32", seed=0)
    peer = peers.PEERS[NAMES[name]]([to_host(v) for v in x], to_host(dy), device, memory)
    calls = {"forward": peer.forward, "backward": peer.backward}
    if peer.backward is None:
        calls = {"forward": peer.forward, "forward + backward": peer.both}
    found = [
        Row(f"{NAMES[name]} {what}", memory, shape, **timed(peer, call))._asdict()
        for what, call in calls.items()
    ]
    ours = to_host(selective.forward(x, delta_softplus=True)[0])
    far = float(np.linalg.norm(peer.y() - ours) / np.linalg.norm(ours))
    return [row | {"away from ours": far} for row in found]


def affordable(name, shape):
    """Say whether a package can run at a shape in the time there is."""
    return name != "torch" or shape[1] <= LONGEST_LOOP
