"""Sanitizers find nothing in the kernels, and find every bug that is planted in them.

Each __syncthreads() of each kernel is taken away in turn, without compiling again: the emulator
ignores the one on the line it is told. ThreadSanitizer must call it a race.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from minimamba.dispatch import using
from minimamba.kernels import compile, conv, scan, selective
from minimamba.ops.conv import ConvParams
from tests.emulator import DESCENDING, ORDERS, RANDOM, Emulator, LaunchError
from tests.kernels.problems import (
    check_selective,
    selective_answer,
    selective_forward,
    selective_problem,
)

FOLDER = Path(conv.__file__).parent


def barriers(name):
    """Return the lines of a file that are barriers."""
    lines = (FOLDER / name).read_text().splitlines()
    return [i for i, line in enumerate(lines, 1) if "__syncthreads();" in line]


def run_forward():
    selective_forward(*selective_problem(2, 37, 33, 16)[:2])


def run_backward():
    x, h0, dy, dh_last = selective_problem(2, 19, 33, 16)
    checkpoint = np.zeros((2, 3, 2, 16, 32), np.float32)
    selective.backward(dy, dh_last, selective.KernelCache(x, h0, checkpoint, x.delta))


def run_segments():
    x, h0, _, _ = selective_problem(2, 70, 33, 16)
    for name, pair in [
        ("selective_scan_ends", (x.u, x.B)),
        ("selective_scan_adjoint_ends", (x.u, x.C)),
    ]:
        selective.segment_starts(name, pair, x, h0, 2, selective._scalars(x, 64, True))


def run_scan(rung, dtype="complex128"):
    a = np.full((1, 150, 1), 0.5, dtype)
    rung(a, a, a[:, 0])


def run_conv():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 150, 33)).astype(np.float32)
    p = ConvParams(x[0, :4].T.copy(), x[0, 0].copy())
    state = x[:, :3].copy()
    _, _, cache = conv.forward(x, p, state)
    conv.backward(x, state, cache)
    conv.step(x[:, 0], p, state)


RUNS = {
    "forward": run_forward,
    "backward": run_backward,
    "segments": run_segments,
    "serial": lambda: run_scan(scan.serial),
    "hillis_steele": lambda: run_scan(scan.hillis_steele),
    "blelloch": lambda: run_scan(scan.blelloch),
    "warp": lambda: run_scan(scan.warp),
    "block": lambda: run_scan(scan.block),
    "grid": lambda: run_scan(lambda *x: scan.grid(*x, chunk=130)),
    "conv": run_conv,
}
# which run must notice which barrier: (file, line, run)
BARRIERS = [
    *[("selective_scan.cu", i, "forward") for i in barriers("selective_scan.cu")],
    *[
        ("selective_scan_backward.cu", i, "backward")
        for i in barriers("selective_scan_backward.cu")
    ],
    *[
        ("selective_scan_segments.cu", i, "segments")
        for i in barriers("selective_scan_segments.cu")
    ],
    *[("causal_conv.cu", i, "conv") for i in barriers("causal_conv.cu")],
    *zip(
        ["scan.cu"] * 12,
        barriers("scan.cu"),
        ["hillis_steele"] * 3 + ["blelloch"] * 7 + ["block"] * 2,
        strict=True,
    ),
]


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(scan, "THREADS", 64)


@pytest.mark.parametrize("sanitize", ["thread", "address"])
@pytest.mark.parametrize("name", RUNS)
def test_the_sanitizers_find_nothing(name, sanitize):
    for order in (DESCENDING, RANDOM) if sanitize == "thread" else (RANDOM,):
        with using(loader=Emulator(order, sanitize, seed=1)):
            RUNS[name]()


@pytest.mark.parametrize("file,line,name", BARRIERS, ids=[f"{f}:{i}" for f, i, _ in BARRIERS])
def test_every_barrier_is_needed(file, line, name):
    with pytest.raises(LaunchError, match="data race"):
        for order in ORDERS:
            with using(loader=Emulator(order, "thread", skip=line)):
                RUNS[name]()


def replace(old, new, count=1):
    """Return an edit of the code that must find `old` so many times."""

    def edit(code):
        if "selective_scan_backward(" not in code and "selective_scan_forward(" not in code:
            return code
        return code.replace(old, new) if code.count(old) == count else code

    return edit


PLANTED = {
    "the state one step too late": (
        "x.y * Bs[t][w * S + s]);\n",
        "x.y * Bs[t ? t - 1 : 0][w * S + s]);\n",
    ),
    "the step size not masked past the end": (
        "const float dt = whole || i * W < rows ? x : 0.0f;",
        "const float dt = x;",
    ),
    "the adjoint state forgotten between tiles": (
        "float before[S], h[T][S], a[T][S];",
        "float before[S], h[T][S], a[T][S];\nfor (int s = 0; s < S; ++s) q[s] = 0.0f;",
    ),
    "dB and dC taken for each other": (
        "j % (2 * S) < S ? dB : dC",
        "j % (2 * S) < S ? dC : dB",
    ),
    "the fold one lane short": ("    fold<2, 1>(v, lane);\n", ""),
    "the gradient of h_last lost": ("dh_last + sequence * e * N : dh_last", "nullptr : nullptr"),
    "the kept state of the first block read by all": (
        "(step * blocks + blockIdx.x % blocks) * N",
        "step * blocks * N",
    ),
    "the skip forgotten in du": ("fmaf(gb, dt, skip * d)", "gb * dt"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_wrong_edit_shows_in_the_numbers(bug):
    edit = replace(*PLANTED[bug])
    changed = [edit(compile.source(*files)) for files in SOURCES]
    assert changed != [compile.source(*files) for files in SOURCES], "the edit finds its place"
    problem = selective_problem(2, 37, 33, 3)
    with using(loader=Emulator(edit=edit)), pytest.raises(AssertionError, match="away, allowed"):
        check_selective(selective_forward, selective.backward, problem, selective_answer(*problem))


SOURCES = (selective.FORWARD, selective.BACKWARD)


def test_a_plain_add_in_place_of_the_atomic_is_a_race_between_blocks():
    edit = replace("atomicAdd(to, x);", "*to += x;")
    loader = Emulator(sanitize="thread", edit=edit)
    with using(loader=loader), pytest.raises(LaunchError, match="data race"):
        run_backward()


def test_a_load_not_masked_at_the_end_is_an_overflow():
    edit = replace("to[i] = whole || i * W < rows ?", "to[i] = true ?")
    loader = Emulator(sanitize="address", edit=edit)
    with using(loader=loader), pytest.raises(LaunchError, match="heap-buffer-overflow"):
        run_forward()


def test_the_list_of_barriers_is_complete():
    files = {path.name for path in FOLDER.glob("*.cu") if "__syncthreads" in path.read_text()}
    assert files == {file for file, _, _ in BARRIERS}
    assert not re.search(r"__syncwarp", "".join(p.read_text() for p in FOLDER.glob("*.cu")))
