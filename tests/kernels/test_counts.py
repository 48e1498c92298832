"""What docs/gpu.md says about the kernels is what the files say."""

import json
import re
from pathlib import Path

from benchmarks.gpu import bench as gpu_bench
from benchmarks.gpu import counts as gpu_counts
from benchmarks.gpu import parts as gpu_parts
from minimamba.kernels import selective
from minimamba.kernels.compile import source
from minimamba.ops import spectral

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "gpu.md").read_text()
COUNTS = json.loads((ROOT / "benchmarks" / "results" / "kernel_counts.json").read_text())


def cells(row):
    """Return the cells of a row of the page's table, from the file."""
    return (
        *(row["kernel"], row["memory"], str(row["states"]), str(row["registers"])),
        *(f"{row['shared bytes'] / 1024:.0f}", str(row["spilled bytes"])),
        f"{row['instructions a state-step']:.1f}",
        f"{row['milliseconds at one a cycle, (8, 2048, 2048)']:.3f}",
    )


def test_the_table_of_counts_is_that_of_the_file():
    lines = [line for line in PAGE.splitlines() if re.match(r"\| (forward|backward) \|", line)]
    shown = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
    assert shown == [cells(row) for row in COUNTS]
    assert {row["nvrtc"] for row in COUNTS} == {"13.5"} and "NVRTC 13.5" in PAGE
    assert all(row["spilled bytes"] == 0 for row in COUNTS)


def test_the_comparison_and_the_trials_are_those_of_their_files():
    results = ROOT / "benchmarks" / "results"
    words = " ".join(PAGE.split())
    peer = json.loads((results / "peer_counts.json").read_text())
    counts = [f"{row['instructions a state-step']:g}" for row in peer["counts"]]
    assert peer["commit"] in words
    assert f"{counts[0]} instructions a state-step (forward) and {counts[2]} (backward)" in words
    assert f"in float32, {counts[1]} and {counts[3]} in bfloat16, and its backward spills" in words
    assert all(row["spilled bytes"] > 0 for row in peer["counts"] if row["kernel"] == "backward")
    trials = json.loads((results / "kernel_trials.json").read_text())
    for row in trials["counted"][:2]:
        assert f"from {row['before']} to {row['after']}" in words
    paper = trials["on paper"][0]
    assert f"from {paper['part before']} to {paper['part after']}, on paper" in words


def test_the_time_of_the_kernel_tests_is_that_of_the_file():
    took = json.loads((ROOT / "benchmarks" / "results" / "kernel_tests.json").read_text())
    seconds = sum(took["processor seconds"].values())
    assert f"({seconds:.0f} s of processor" in " ".join(PAGE.split()) and seconds < 180


def test_the_counts_leave_room_for_the_goals():
    """At the share of a perfect issue rate that the page says the goals ask for."""
    for (what, shape), goal in gpu_bench.GOALS.items():
        row = next(
            r
            for r in COUNTS
            if (r["kernel"], r["memory"], r["states"]) == (what, "bfloat16", shape[3])
        )
        share = row["milliseconds at one a cycle, (8, 2048, 2048)"] / goal
        assert f"{what} {goal:.2f} ms: {100 * share:.0f} %" in PAGE


def test_the_edits_that_leave_the_steady_path_find_their_places():
    code = source(*selective.FORWARD) + source(*selective.BACKWARD)
    assert [old for old, _ in gpu_counts.STEADY if old not in code] == []


def test_the_floors_are_those_of_the_page():
    """Exponentials bind the forward, bytes the float32 backward of the big shape."""
    device = gpu_bench.Device(None, 4.3e12, 132 * 16 * 1.98e9, 1_980_000)
    big = gpu_bench.SHAPES[0]
    floors = [f"{gpu_bench.floor(big, size, back, device):.3f} ms" for size, back in PASSES]
    assert floors == ["0.160 ms", "0.160 ms", "0.219 ms", "0.177 ms"]
    assert all(f in PAGE for f in floors)


PASSES = [(4, False), (2, False), (4, True), (2, True)]


def test_the_page_names_every_part_and_the_spectral_rule():
    for name in gpu_parts.PARTS:
        assert f"`{name}`" in PAGE, name
    assert f"LONGEST_CIRCULANT = {spectral.LONGEST_CIRCULANT}" in PAGE
