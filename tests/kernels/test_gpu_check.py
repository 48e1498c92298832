"""`make gpu-check` itself: no part stops it, every exit code has its reason, a table comes last."""

import json
import sys
import time

import pytest

from benchmarks.gpu import check as gpu_check
from benchmarks.gpu import parts as gpu_parts

PART = """
import json, os, sys, time
name, page, seconds, folder = sys.argv[1:]
found = {"results": {"first": 1}, "left out": ["second: no time left"], "errors": {}}
json.dump(found, open(page, "w"))
if name == "hangs":
    os.system("sleep 600 &")
    time.sleep(600)
if name == "crashes":
    print("Segmentation fault", file=sys.stderr)
    os.abort()
if name == "untold":
    print("MemoryError", file=sys.stderr)
    sys.exit(1)
if name == "wrong":
    json.dump({"results": {}, "errors": {"y": "too far"}}, open(page, "w"))
if name == "absent" or os.path.exists(os.path.join(folder, "no-gpu")):
    name = "absent"
    json.dump({"results": {"not run": "it is not installed"}}, open(page, "w"))
sys.exit({"wrong": 1, "torch": 9, "jax": 9, "absent": 3}.get(name, 0))
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Run gpu-check with parts that do what their name says."""
    script = tmp_path / "part.py"
    script.write_text(PART)
    monkeypatch.setattr(gpu_check, "GRACE", 0.0)

    def go(*names, seconds=100.0, each=60.0, gpu=True):
        parts, folder = {name: (None, each) for name in names}, tmp_path / "out"
        if not gpu:
            (tmp_path / "out" / "no-gpu").mkdir(parents=True)
        code = gpu_check.every_part(folder, parts, seconds, (sys.executable, str(script)))
        report = json.loads((folder / "gpu_check.json").read_text())
        return code, report["parts"], capfd.readouterr()

    return go


def test_parts_that_are_absent_or_cut_short_do_not_fail_the_check(run):
    code, parts, said = run("device", "absent", "fine")
    assert code == 0
    assert [p["status"] for p in parts.values()] == ["ok", "not run", "ok"]
    assert "absent: not run in 0 s: it is not installed" in said.out
    assert "left out of fine: second: no time left" in said.out
    assert said.out.rstrip().splitlines()[-1].startswith("pass")  # the table comes last


def test_a_wrong_number_fails_the_check_and_a_crash_does_not_end_it(run):
    code, parts, _ = run("device", "wrong", "crashes", "untold", "fine")
    assert code == 1
    assert [p["status"] for p in parts.values()] == ["ok", "failed", "failed", "failed", "ok"]
    assert parts["untold"]["why"] == "ended with 1: MemoryError"
    assert parts["crashes"]["why"] == "ended with -6: Segmentation fault"
    assert parts["crashes"]["results"] == {"first": 1}


def test_trouble_of_another_package_is_told_and_fails_nothing(run):
    code, parts, _ = run("device", "torch", "jax")
    assert code == 0
    assert [p["status"] for p in parts.values()] == ["ok", "incomplete", "incomplete"]
    assert parts["torch"]["why"] == "ended with 9: it said nothing"


def test_a_part_that_hangs_is_stopped_with_its_children_and_keeps_what_it_had(run):
    began = time.monotonic()
    code, parts, _ = run("device", "hangs", "fine", each=6.0)
    assert code == 1 and time.monotonic() - began < 30
    assert parts["hangs"]["why"].startswith("stopped after") and parts["fine"]["status"] == "ok"
    assert parts["hangs"]["results"] == {"first": 1}


def test_no_part_starts_when_the_time_is_up(tmp_path):
    part = gpu_check.one_part("fine", 4.9, tmp_path, (sys.executable, "no such script"))
    assert part == {"status": "not run", "why": "no time left", "seconds": 0.0}


def test_without_a_gpu_the_exit_code_is_2(run):
    code, parts, said = run("device", "fine", gpu=False)
    assert code == 2 and said.err == "gpu-check cannot run: it is not installed\n"
    assert list(parts) == ["device"]


def test_all_parts_fit_into_eight_minutes():
    assert gpu_check.SECONDS + gpu_check.GRACE < 480
    assert all(most <= 100 for _, most in gpu_parts.PARTS.values())
