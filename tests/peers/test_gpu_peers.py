"""The peers of every benchmark on a CPU: they compute what we compute, gradients in our order.

mamba_ssm needs a GPU; a function of its name, arguments and layout stands in for it.
"""

import inspect
import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from benchmarks import peers
from benchmarks.cpu.scan import draw as recurrence_of
from benchmarks.cpu.scan import time_first
from benchmarks.cpu.selective import draw
from benchmarks.gpu import bench as gpu_bench
from benchmarks.gpu import page as gpu_page
from benchmarks.gpu import parts as gpu_parts
from benchmarks.gpu import peers as gpu_peers
from minimamba.ops.recurrence import sequential
from minimamba.ops.selective.scan import (
    SelectiveScanGrads,
    selective_scan,
    selective_scan_backward,
)
from tests.kernels import gpu_stand_in

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
SHAPE, MEMORIES = (2, 7, 5, 3), ("bfloat16", "float32")


def selective_scan_fn(u, delta, A, B, C, D, z, delta_bias, delta_softplus=False):
    """As mamba_ssm documents it: u, delta, z (b, d, l), B, C (b, n, l)."""
    assert delta_softplus and u.shape[1] == len(A) and B.shape[1] == A.shape[1]
    step, h, out = torch.nn.functional.softplus(delta + delta_bias[:, None]), 0, []
    for t in range(u.shape[2]):
        drive = (step * u)[:, :, t, None] * B[:, None, :, t]
        h = torch.exp(step[:, :, t, None] * A) * h + drive
        out.append((h * C[:, None, :, t]).sum(-1))
    y = (torch.stack(out, 2) + D[:, None] * u) * torch.nn.functional.silu(z)
    return y.to(u.dtype)


@pytest.fixture(autouse=True)
def stand_in_for_mamba_ssm(monkeypatch):
    for path in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
        monkeypatch.setitem(sys.modules, path, ModuleType(path))
    module = sys.modules["mamba_ssm.ops.selective_scan_interface"]
    monkeypatch.setattr(module, "selective_scan_fn", selective_scan_fn, raising=False)


def needed(name):
    """Skip where a peer's package is not installed."""
    for package in peers.NEEDS.get(name, ()):
        pytest.importorskip(package)


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_peer_gives_our_output_and_our_gradients(name):
    needed(name)
    inputs, dy = draw(SHAPE, "float32")
    wide = [x.astype(float) for x in inputs]
    y, _, cache = selective_scan(*wide, True)
    g = selective_scan_backward(dy.astype(float), None, cache)
    theirs = peers.PEERS[name](inputs, dy, "cpu")
    np.testing.assert_allclose(theirs.y(), y, rtol=0, atol=1e-5)
    calls = [c for c in (theirs.backward, theirs.both and (lambda: theirs.both()[1])) if c]
    assert bool(calls) == (name != "numba")
    for call in calls:
        for got, want in zip(theirs.wait(call()), g[:8], strict=True):
            got = np.asarray(got)
            got = got if got.shape == want.shape else got.swapaxes(1, 2)
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())


def test_gradients_are_in_the_order_of_our_arguments():
    names = [*inspect.signature(selective_scan).parameters][:8]
    assert names == list(SelectiveScanGrads._fields[:8])


@pytest.mark.parametrize("name", peers.NEEDS)
def test_a_recurrence_of_a_peer_is_ours(name):
    needed(name)
    a, b, h0 = recurrence_of(SHAPE, "float64")
    rows = [time_first(x)[None] for x in (a, b)]
    got = np.asarray(peers.recurrences(a, b, rows)[name]())
    want = sequential(a, b, h0)
    want = want if name == "mambapy pscan" else time_first(want)
    np.testing.assert_allclose(got.reshape(want.shape), want, rtol=0, atol=1e-12)


def test_bfloat16_reaches_mamba_ssm():
    theirs, exact = (peers.mamba_ssm(*draw(SHAPE, "float32"), "cpu", m) for m in MEMORIES)
    assert theirs.forward().dtype == torch.bfloat16
    assert [g.dtype for g in theirs.backward()[:4:2]] == [torch.bfloat16, torch.float32]
    assert 0 < np.abs(theirs.y() - exact.y()).max() < 0.1


@pytest.fixture
def on_a_cpu(monkeypatch):
    """Time on the stand-in and the CPU, once."""
    gpu_stand_in.install(monkeypatch)
    monkeypatch.setattr(gpu_peers, "timed", partial(gpu_peers.timed, seconds=0.0))
    monkeypatch.setattr(gpu_peers, "rows", partial(gpu_peers.rows, device="cpu"))


@pytest.mark.parametrize("name", ["torch", "jax"])
def test_rows_hold_both_passes_and_the_distance_from_ours(name, on_a_cpu):
    pytest.importorskip(name)
    rows = gpu_peers.rows(name, SHAPE, "float32")
    second = "backward" if name == "torch" else "forward + backward"
    assert [row["what"] for row in rows] == [
        f"{gpu_peers.NAMES[name]} {what}" for what in ("forward", second)
    ]
    assert all(row["away from ours"] < 1e-6 and row["median"] > 0 for row in rows)


def test_the_part_puts_its_rows_on_the_page(on_a_cpu, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_peers, "missing", lambda name: None)
    monkeypatch.setattr(gpu_bench, "SHAPES", (SHAPE, (1, 65536, 1024, 16)))
    page = gpu_page.Page(tmp_path / "page.json", 60.0, tmp_path)
    gpu_parts.PARTS["torch"][0](page)
    assert list(page.results) == [f"torch {SHAPE} float32"] and not page.errors
    assert page.left_out == ["torch (1, 65536, 1024, 16): a loop of 65536 steps takes too long"]


def test_a_peer_that_sees_no_gpu_says_so(monkeypatch):
    assert gpu_peers.missing("no_such_package") == "no_such_package is not installed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_peers.missing("torch") == "torch sees no GPU"


def test_a_loop_over_the_longest_shape_is_left_out():
    assert not gpu_peers.affordable("torch", (1, 65536, 1024, 16))
    assert gpu_peers.affordable("jax", (1, 65536, 1024, 16))
