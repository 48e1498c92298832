"""The parts of `make gpu-check` on the stand-in, at small sizes.

The numbers are right, the times mean nothing; names, shapes, pages and the table are what a GPU
will see.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

import pytest

from benchmarks import __main__ as door
from benchmarks.gpu import bench as gpu_bench
from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import page as gpu_page
from benchmarks.gpu import parts as gpu_parts
from benchmarks.gpu import peers as gpu_peers
from benchmarks.gpu import report as gpu_report
from tests.cupy_stand_in import OutOfMemoryError
from tests.kernels import gpu_stand_in

SHAPES = gpu_stand_in.SHAPES
ROOT = Path(__file__).parents[2]


@pytest.fixture
def stand_in(monkeypatch):
    return gpu_stand_in.install(monkeypatch)


@pytest.fixture
def small(stand_in, monkeypatch):
    """The same parts at sizes for a CPU."""
    gpu_stand_in.shrink(monkeypatch)
    return stand_in


@pytest.fixture
def page(tmp_path):
    return gpu_page.Page(tmp_path / "page.json", 100.0, tmp_path)


def written(page):
    return json.loads(page.path.read_text())


TOOL = """#!/bin/sh
echo "$@" >> "$0.calls"
case "$*" in *--kernel-regex*) {filtered} ;; esac
echo "========= {verdict}"
exit {code}
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put something in compute-sanitizer's place."""

    def make(verdict, code=0, filtered=":"):
        path = tmp_path / "compute-sanitizer"
        path.write_text(TOOL.format(verdict=verdict, code=code, filtered=filtered))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return path

    return make


def test_clean_sanitizers_are_quoted(tool, page):
    path = tool("ERROR SUMMARY: 0 errors")
    gpu_parts.sanitizer(page)
    assert written(page)["results"]["racecheck"] == "========= ERROR SUMMARY: 0 errors"
    assert not page.errors and not page.left_out
    calls = path.with_name("compute-sanitizer.calls").read_text().splitlines()
    assert [c.split()[1] for c in calls] == ["memcheck", "racecheck"]
    target = f"--device gpu -k {gpu_parts.SMALL}"
    assert all("--report-api-errors no" in c and c.endswith(target) for c in calls)


def test_what_a_sanitizer_finds_is_an_error(tool, page):
    tool("RACECHECK SUMMARY: 2 hazards displayed (0 errors, 2 warnings)")
    gpu_parts.sanitizer(page)
    assert set(page.errors) == {"memcheck", "racecheck"}


def test_a_sanitizer_that_refuses_the_filter_runs_without_it(tool, page):
    path = tool("ERROR SUMMARY: 0 errors", filtered="echo unknown option; exit 1")
    gpu_parts.sanitizer(page)
    assert not page.errors and not page.left_out
    assert len(path.with_name("compute-sanitizer.calls").read_text().splitlines()) == 4


def test_a_sanitizer_that_cannot_use_the_device_is_left_out(tool, page):
    tool("Error: Device not supported", code=1)
    gpu_parts.sanitizer(page)
    assert not page.errors and len(page.left_out) == 2
    assert "Device not supported" in page.left_out[0]


def test_without_a_sanitizer_the_part_is_not_run(page, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(gpu_page.NotRun, match="compute-sanitizer is not installed"):
        gpu_parts.sanitizer(page)


def test_a_failing_job_is_named_and_the_others_run(stand_in, page):
    def wrong():
        raise RuntimeError("an illegal memory access")

    def full():
        raise OutOfMemoryError(1 << 40)

    def theirs_is_full():
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.")

    page.run({"wrong": wrong, "full": full, "full too": theirs_is_full, "right": lambda: 3})
    page.ends = time.monotonic() - 1
    page.run({"late": wrong})
    assert written(page)["errors"] == {"wrong": "RuntimeError: an illegal memory access"}
    assert written(page)["results"] == {"right": 3}
    assert "would fit" in written(page)["left out"][0]
    assert written(page)["left out"][1].startswith("full too: RESOURCE_EXHAUSTED")
    assert written(page)["left out"][2] == "late: no time left"


def test_the_device_says_what_the_figures_belong_to(stand_in, page):
    gpu_parts.device(page)
    known = written(page)["results"]
    assert known["device"] == "A stand-in" and known["nvrtc"] == "13.0"


def test_the_times_the_ladder_and_the_windows_make_a_report(small, page, tmp_path):
    report = {"parts": {"device": {"results": {"device": "A stand-in"}}}}
    for name in ("times", "scans", "windows"):
        part = gpu_page.Page(tmp_path / f"{name}.json", 100.0, tmp_path)
        gpu_parts.PARTS[name][0](part)
        assert not part.errors and not part.left_out, (name, part.errors, part.left_out)
        report["parts"][name] = written(part)
    rows = gpu_report.rows_of(report, "times")
    assert [(r["what"], r["memory"], tuple(r["shape"])) for r in rows] == [
        (what, memory, shape)
        for shape in SHAPES
        for memory in ("bfloat16", "float32")
        for what in ("forward", "backward")
    ]
    assert all(0 < r["fastest"] <= r["median"] and r["floor"] > 0 for r in rows)
    lines = gpu_report.table(rows + gpu_report.rows_of(report, "scans"))
    assert len(lines) == 1 + len(rows) + len(gpu_report.rows_of(report, "scans"))
    assert len({len(line) for line in lines}) == 1
    assert "kernel blelloch" in "\n".join(lines) and "array sequential" in "\n".join(lines)
    assert "A stand-in, CuPy" in gpu_report.heading(report)
    assert re.search(r"copies \d+\.\d\d TB/s", gpu_report.heading(report))
    assert gpu_report.rule(report)[0].startswith("spectral crossover (3, l, 2): the product wins")
    gpu_report.draw(report, tmp_path / "roofline.png")
    assert (tmp_path / "roofline.png").stat().st_size > 10_000


def test_what_is_compiled_first_costs_no_round(stand_in):
    device, began = gpu_bench.Device(stand_in, 1e12, 1e12, 1000), []

    def slow_at_first():
        if not began:
            began.append(time.sleep(0.3))

    taken = gpu_bench.timed(device, [slow_at_first], seconds=0.2, most=7)
    assert taken["rounds"] == 7 and taken["median"] < 300


def fused_row(what, shape, memory, ms):
    return gpu_bench.Row(what, memory, shape, ms, ms, ms, 9, 0.1)._asdict()


def test_a_peer_is_compared_with_ours_at_its_shape_and_the_goals_are_judged():
    big = (8, 2048, 2048, 16)
    ours = [fused_row("forward", big, "bfloat16", 0.2), fused_row("backward", big, "bfloat16", 1.0)]
    theirs = [fused_row(f"other {w}", big, "bfloat16", 0.6) for w in ("forward", "backward")]
    both = fused_row("other forward + backward", big, "bfloat16", 2.4)
    elsewhere = fused_row("other forward", (1, 2, 3, 4), "bfloat16", 0.6)
    ratios = [gpu_report.times_ours(row, ours) for row in (*theirs, both, elsewhere, *ours)]
    assert ratios == ["3.0 x", "0.6 x", "2.0 x", "", "", ""]
    said = gpu_report.goals({"parts": {"times": {"results": {"fused": ours}}}})
    assert said == [
        "forward: 0.200 ms, goal 0.23 on an H200: reached",
        "backward: 1.000 ms, goal 0.95 on an H200: not reached",
    ]


def test_without_a_single_time_there_is_a_table_and_no_plot(tmp_path):
    report = {"parts": {"times": {"status": "failed"}}}
    assert len(gpu_report.table([])) == 1 and gpu_report.goals(report) == []
    gpu_report.draw(report, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize("what", door.ON_A_GPU)
def test_benchmarks_of_the_cpu_run_on_a_gpu(small, capsys, what):
    assert door.main([what, "--device", "gpu", "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "A stand-in, sm_90" in printed and "median ms" in printed
    assert ("kernel grid" in printed) == (what == "scan")
    assert ("forward, array code" in printed) == (what == "selective")
    assert ("step, array code" in printed) == (what == "step")
    assert ("8 to 16: backward as l^" in printed) == (what == "length")


def test_without_a_gpu_a_benchmark_says_so_in_one_sentence(stand_in, capsys, monkeypatch):
    monkeypatch.setattr(stand_in.cuda, "is_available", lambda: False)
    assert door.main(["scan", "--device", "gpu"]) == 2
    printed = capsys.readouterr().err
    assert printed == (
        "benchmarks: --device gpu: CuPy finds no CUDA device: is an NVIDIA driver installed?\n"
    )


def test_all_of_it_runs_on_the_stand_in(tmp_path, monkeypatch, capfd):
    """Every part in a process of its own, down to the table; other packages are left to peers."""
    import_it = "import tests.kernels.gpu_stand_in as s\ns.install(s.MonkeyPatch())\n"
    (tmp_path / "cupy.py").write_text(import_it)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + ":/usr/bin:/bin")
    monkeypatch.chdir(ROOT)
    parts = {name: p for name, p in gpu_parts.PARTS.items() if name not in gpu_peers.NAMES}
    command = (sys.executable, "-m", "tests.kernels.gpu_stand_in")
    assert gpu_check.every_part(tmp_path / "out", parts, 200.0, command) == 0
    report = json.loads((tmp_path / "out" / "gpu_check.json").read_text())["parts"]
    assert {name: part["status"] for name, part in report.items()} == {
        name: "not run" if name == "sanitizer" else "ok" for name in parts
    }
    assert re.search(r"[1-9]\d* passed", report["kernels"]["results"]["pytest"])
    assert re.search(r"[1-9]\d* passed", report["laws"]["results"]["pytest"])
    assert report["epoch"]["results"]["test"]
    last = capfd.readouterr().out.rstrip().splitlines()
    assert any(line.startswith("array blelloch") for line in last[-12:])
