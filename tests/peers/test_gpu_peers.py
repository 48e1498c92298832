"""The peers of `make gpu-check` on a CPU: they compute what we compute, gradients in our order.

mamba_ssm needs a GPU; a function of its name, arguments and layout stands in for it.
"""

import sys
from functools import partial
from types import ModuleType

import numpy as np
import pytest

from benchmarks.gpu import bench as gpu_bench
from benchmarks.gpu import page as gpu_page
from benchmarks.gpu import parts as gpu_parts
from benchmarks.gpu import peers as gpu_peers
from minimamba.ops.selective.scan import selective_scan, selective_scan_backward
from tests.kernels import gpu_stand_in

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
SHAPE = (2, 7, 5, 3)


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


@pytest.fixture
def peer(request, monkeypatch):
    name = request.param
    if name == "jax":
        pytest.importorskip("jax")
        return gpu_peers.jax_associative
    if name == "mamba_ssm":
        for path in ("mamba_ssm", "mamba_ssm.ops", "mamba_ssm.ops.selective_scan_interface"):
            monkeypatch.setitem(sys.modules, path, ModuleType(path))
        module = sys.modules["mamba_ssm.ops.selective_scan_interface"]
        monkeypatch.setattr(module, "selective_scan_fn", selective_scan_fn, raising=False)
    return partial(gpu_peers.PEERS[name], device="cpu")


@pytest.mark.parametrize("peer", gpu_peers.NAMES, indirect=True)
def test_a_peer_gives_our_output_and_our_gradients(peer):
    arrays = gpu_peers.host_problem(SHAPE)
    u, delta, bias, A, B, C, D, z, dy = (x.astype(float) for x in arrays)
    y, _, cache = selective_scan(u, delta, A, B, C, D, z, bias, True)
    g = selective_scan_backward(dy, None, cache)
    theirs = peer(arrays)
    np.testing.assert_allclose(theirs.y(), y, rtol=0, atol=1e-5)
    grads = theirs.backward()
    theirs.wait()
    for got, want in zip(grads, (g.u, g.delta, g.delta_bias, g.A, g.B, g.C, g.D, g.z), strict=True):
        got = np.asarray(got)
        got = got if got.shape == want.shape else got.swapaxes(1, 2)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * abs(want).max())


@pytest.mark.parametrize("peer", ["mamba_ssm"], indirect=True)
def test_bfloat16_reaches_mamba_ssm(peer):
    arrays = gpu_peers.host_problem(SHAPE)
    theirs, exact = peer(arrays, memory="bfloat16"), peer(arrays)
    assert theirs.forward().dtype == torch.bfloat16
    assert [g.dtype for g in theirs.backward()[:4:2]] == [torch.bfloat16, torch.float32]
    assert 0 < np.abs(theirs.y() - exact.y()).max() < 0.1


@pytest.mark.parametrize("peer", ["torch"], indirect=True)
def test_rows_hold_both_passes_and_the_distance_from_ours(peer, monkeypatch):
    gpu_stand_in.install(monkeypatch)
    monkeypatch.setitem(gpu_peers.PEERS, "torch", peer)
    monkeypatch.setattr(gpu_peers, "timed", partial(gpu_peers.timed, seconds=0.0))
    rows = gpu_peers.rows("torch", SHAPE, "float32")
    assert [row["what"] for row in rows] == ["torch loop forward", "torch loop backward"]
    assert all(row["away from ours"] < 1e-6 and row["median"] > 0 for row in rows)


@pytest.mark.parametrize("peer", ["torch"], indirect=True)
def test_the_part_puts_its_rows_on_the_page(peer, monkeypatch, tmp_path):
    gpu_stand_in.install(monkeypatch)
    monkeypatch.setitem(gpu_peers.PEERS, "torch", peer)
    monkeypatch.setattr(gpu_peers, "timed", partial(gpu_peers.timed, seconds=0.0))
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
